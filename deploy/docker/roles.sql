-- The roles of authapp and its database. PostgreSQL's image runs this once, when it has made its data; the tests run
-- this very file. Nobody but an administrator needs the superuser afterwards.
\set owner_password `cat /run/secrets/owner_password`
\set authapp_password `cat /run/secrets/authapp_password`
\set audit_password `cat /run/secrets/audit_password`

-- Owns the tables, and migrates.
CREATE ROLE authapp_owner LOGIN PASSWORD :'owner_password';
CREATE DATABASE authapp OWNER authapp_owner;

-- Serves. As it owns nothing, it cannot change what the audit trail holds. The limit leaves an administrator a place.
CREATE ROLE authapp LOGIN PASSWORD :'authapp_password' CONNECTION LIMIT 80;
REVOKE ALL ON DATABASE authapp FROM PUBLIC;
GRANT CONNECT ON DATABASE authapp TO authapp;

-- Deletes old audit events, and may do nothing else.
CREATE ROLE authapp_audit LOGIN PASSWORD :'audit_password' CONNECTION LIMIT 4;
GRANT CONNECT ON DATABASE authapp TO authapp_audit;

-- What authapp asks for when it connects, and PgBouncer does not pass on.
ALTER ROLE authapp SET statement_timeout = '2s';
ALTER ROLE authapp SET lock_timeout = '2s';
ALTER ROLE authapp SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE authapp SET timezone = 'UTC';
