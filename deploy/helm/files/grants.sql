-- What the role that serves may do, and the one that deletes old audit events, as docs/operations.md has it. Run by the
-- owner of the tables after each migration; the tests run this very file.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, sessions, token_blocklist, roles, user_roles, login_throttles, address_limits, one_time_tokens,
    outgoing_mail, totp_factors, recovery_codes, pending_logins, passkeys,
    used_challenges, api_keys, provider_identities, foreign_hash_marks TO authapp;
GRANT SELECT, INSERT ON audit_events TO authapp;
GRANT SELECT ON alembic_version TO authapp;

GRANT SELECT, INSERT, UPDATE, DELETE ON audit_events TO authapp_audit;
GRANT SELECT ON users, alembic_version TO authapp_audit;
