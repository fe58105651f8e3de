-- What the role that serves may do, as docs/operations.md has it. Run by the owner of the tables after each migration;
-- the tests run this very file.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, sessions, token_blocklist, roles, user_roles, login_throttles, address_limits, one_time_tokens,
    outgoing_mail TO authapp;
GRANT SELECT, INSERT ON audit_events TO authapp;
GRANT SELECT ON alembic_version TO authapp;
