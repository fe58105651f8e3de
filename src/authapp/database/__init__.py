"""Access to PostgreSQL: connections, deadlines, prepared statements and paging. Nothing here knows a table."""
