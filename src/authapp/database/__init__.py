"""How PostgreSQL is asked: with a deadline, on pooled connections, by prepared statements. It knows no table."""
