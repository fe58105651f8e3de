-- Prunes in the database itself, instead of `flask tokens prune` from outside. Needs the extension pg_cron, which must
-- be in shared_preload_libraries. Run this once, as a role that may delete from these tables and read users,
-- in authapp's database (cron.database_name; cron.schedule_in_database from another one).
--
-- The conditions are those of `flask tokens prune`; a test compares them. A token passes until its leeway is over
-- (AUTHAPP_LEEWAY, at most a minute), and its row is needed until then: the five minutes are for that.
-- Rows that another node is removing at this moment are skipped; what a run leaves over, the next one takes.
-- Scheduling a job under the same name replaces it; SELECT cron.unschedule('authapp-prune-blocklist') ends it.

SELECT cron.schedule('authapp-prune-blocklist', '*/10 * * * *', $$DELETE FROM token_blocklist WHERE (user_id, jti) IN (SELECT user_id, jti FROM token_blocklist WHERE expires_at < now() - interval '5 minutes' ORDER BY expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

-- The same for sessions, and for one-time tokens.
SELECT cron.schedule('authapp-prune-sessions', '*/10 * * * *', $$DELETE FROM sessions WHERE (user_id, id) IN (SELECT user_id, id FROM sessions WHERE refresh_expires_at < now() - interval '5 minutes' ORDER BY refresh_expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

SELECT cron.schedule('authapp-prune-one-time-tokens', '*/10 * * * *', $$DELETE FROM one_time_tokens WHERE (user_id, purpose, token_hash) IN (SELECT user_id, purpose, token_hash FROM one_time_tokens WHERE expires_at < now() ORDER BY expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

SELECT cron.schedule('authapp-prune-pending-logins', '*/10 * * * *', $$DELETE FROM pending_logins WHERE (user_id, token_hash) IN (SELECT user_id, token_hash FROM pending_logins WHERE expires_at < now() ORDER BY expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

SELECT cron.schedule('authapp-prune-totp-factors', '*/10 * * * *', $$DELETE FROM totp_factors WHERE user_id IN (SELECT user_id FROM totp_factors WHERE created_at < now() - interval '10 minutes' AND confirmed_at IS NULL ORDER BY created_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

SELECT cron.schedule('authapp-prune-used-challenges', '*/10 * * * *', $$DELETE FROM used_challenges WHERE (user_id, challenge_hash) IN (SELECT user_id, challenge_hash FROM used_challenges WHERE expires_at < now() - interval '5 minutes' ORDER BY expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

-- API keys, a month after they have expired.
SELECT cron.schedule('authapp-prune-api-keys', '*/10 * * * *', $$DELETE FROM api_keys WHERE (user_id, id) IN (SELECT user_id, id FROM api_keys WHERE expires_at < now() - interval '30 days' ORDER BY expires_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

-- The mark that some account may have a foreign hash, when none has one any more.
SELECT cron.schedule('authapp-prune-foreign-hash-marks', '*/10 * * * *', $$DELETE FROM foreign_hash_marks WHERE id IN (SELECT id FROM foreign_hash_marks WHERE marked_at < now() - interval '10 minutes' AND NOT EXISTS (SELECT FROM users WHERE NOT starts_with(password_hash, '$argon2id$')) ORDER BY marked_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

-- And for what the limits on guessing count: addresses that may try all again, and failures a month after the last
-- attempt. Of accounts stay those that lock, 50 being half of AUTHAPP_LOGIN_FAILURES_MAX, and those of second factors:
-- name each scope of yours that is_second_factor beside 'second_factor' (domain/throttle_scopes.py). They are looked at
-- again a month later, which needs UPDATE on login_throttles. A scope is in the column purpose, and what is counted in
-- account_id: they are named from when logins alone were counted, and the version before uses them during an upgrade.
SELECT cron.schedule('authapp-prune-address-limits', '*/10 * * * *', $$DELETE FROM address_limits WHERE (address, limit_name) IN (SELECT address, limit_name FROM address_limits WHERE arrival_at < now() ORDER BY arrival_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

SELECT cron.schedule('authapp-prune-login-throttles', '*/10 * * * *', $$WITH batch AS (SELECT account_id, purpose, failures FROM login_throttles WHERE prune_after < now() ORDER BY prune_after LIMIT 50000 FOR UPDATE SKIP LOCKED), kept AS (SELECT account_id, purpose FROM batch WHERE (failures >= 50 OR purpose IN ('second_factor')) AND EXISTS (SELECT FROM users WHERE users.id = batch.account_id)), postponed AS (UPDATE login_throttles SET prune_after = now() + interval '30 days' WHERE (account_id, purpose) IN (SELECT account_id, purpose FROM kept)) DELETE FROM login_throttles WHERE (account_id, purpose) IN (SELECT account_id, purpose FROM batch EXCEPT SELECT account_id, purpose FROM kept)$$);

-- And mails that nobody has sent for a week.
SELECT cron.schedule('authapp-prune-outgoing-mail', '*/10 * * * *', $$DELETE FROM outgoing_mail WHERE id IN (SELECT id FROM outgoing_mail WHERE next_attempt_at < now() - interval '7 days' ORDER BY next_attempt_at LIMIT 50000 FOR UPDATE SKIP LOCKED)$$);

-- Accounts that nobody ever verified. ONLY where AUTHAPP_EMAIL_VERIFICATION is `required`: elsewhere nobody has to. Take
-- the days from AUTHAPP_UNVERIFIED_ACCOUNT_DAYS, and the dashes away. Those in use are looked at again after as many days,
-- which needs UPDATE on users; the role needs INSERT on audit_events as well.
-- SELECT cron.schedule('authapp-prune-unverified-accounts', '*/10 * * * *', $$WITH batch AS (SELECT id, last_login_at IS NULL AND kind = 'person' AND updated_at < now() - interval '30 days' AS is_unused FROM users WHERE prune_checked_at < now() - interval '30 days' AND first_verified_at IS NULL AND imported_at IS NULL ORDER BY prune_checked_at LIMIT 5000 FOR UPDATE SKIP LOCKED), left_behind AS (SELECT id FROM batch WHERE is_unused AND NOT EXISTS (SELECT FROM user_roles WHERE user_id = batch.id) AND NOT EXISTS (SELECT FROM api_keys WHERE user_id = batch.id)), postponed AS (UPDATE users SET prune_checked_at = now() WHERE id IN (SELECT id FROM batch EXCEPT SELECT id FROM left_behind)), deleted AS (DELETE FROM users WHERE id IN (SELECT id FROM left_behind) RETURNING id, username) INSERT INTO audit_events (occurred_at, id, type, subject_id, details) SELECT now(), gen_random_uuid(), 'user.deleted', id, jsonb_build_object('username', username, 'reason', 'never_verified') FROM deleted$$);

-- Roles that are deleted: first the rows of those who had them, then the roles of which no such row is left.
SELECT cron.schedule('authapp-prune-user-roles', '*/10 * * * *', $$WITH deleted AS (SELECT name FROM roles WHERE deleted_at IS NOT NULL FOR UPDATE SKIP LOCKED), batch AS (SELECT user_id, role_name FROM user_roles WHERE role_name IN (SELECT name FROM deleted) LIMIT 50000 FOR UPDATE SKIP LOCKED) DELETE FROM user_roles WHERE (user_id, role_name) IN (SELECT user_id, role_name FROM batch)$$);

SELECT cron.schedule('authapp-prune-roles', '*/10 * * * *', $$DELETE FROM roles WHERE name IN (SELECT name FROM roles WHERE deleted_at IS NOT NULL AND NOT EXISTS (SELECT FROM user_roles WHERE role_name = name) FOR UPDATE SKIP LOCKED)$$);
