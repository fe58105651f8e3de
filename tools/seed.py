"""Fill a migrated database with many users and audit events: ``python -m tools.seed --users 1000000 --events 1000000``.

PostgreSQL generates the rows, which are the same each time and resemble those of a real service: names with common
prefixes, some disabled accounts, roles that many users, few users, or only active users have, event types that are
frequent, rare, or only old, and one user with many old events. Nobody can log in to these accounts.
"""

import argparse
import sys

import psycopg2
from psycopg2 import extensions

from authapp.extension import load_settings

COMMON_ROLE, RARE_ROLE, ACTIVE_ROLE = "seeded-common", "seeded-rare", "seeded-active"

_ID = """(lpad(to_hex({milliseconds}), 12, '0') || '7' || substr(md5({salt} || n::text), 1, 3)
          || '8' || substr(md5({salt} || n::text), 4, 15))::uuid"""
_START = 1_700_000_000_000
# Three users a second: some are created at the same moment.
_USER_ID = _ID.format(milliseconds=f"({_START} + (n / 3) * 1000)::bigint", salt="'user'")
_EVENT_ID = _ID.format(milliseconds=f"({_START} + n * 100)::bigint", salt="'event'")

_USERS = f"""
INSERT INTO users (id, username, username_key, email, email_key, password_hash, status, created_at, updated_at)
SELECT {_USER_ID}, name, name, name || '@' || domain, name || '@' || domain, '!',
       CASE WHEN n %% 50 = 0 THEN 'disabled' ELSE 'active' END, created, created
FROM (SELECT n, (ARRAY['anna', 'bert', 'carla', 'dmitri', 'emine', 'farid', 'gro', 'hana'])[1 + n %% 8] || n AS name,
             (ARRAY['example.com', 'example.org', 'example.net'])[1 + n %% 3] AS domain,
             to_timestamp({_START // 1000} + n / 3) AS created
      FROM generate_series(1, %(users)s) AS n) AS people
"""
_ROLES = f"""
INSERT INTO roles (name, description, permissions)
VALUES ('{COMMON_ROLE}', 'Held by every second user.', '{{}}'), ('{RARE_ROLE}', 'Held by twenty users.', '{{}}'),
       ('{ACTIVE_ROLE}', 'Held by every user who is not disabled.', '{{}}')
"""
_HOLDERS = f"""
INSERT INTO user_roles (user_id, role_name)
SELECT {_USER_ID}, '{COMMON_ROLE}' FROM generate_series(2, %(users)s, 2) AS n
UNION ALL
SELECT {_USER_ID}, '{RARE_ROLE}' FROM generate_series(1, %(users)s, greatest(1, %(users)s / 20)) AS n
UNION ALL
SELECT {_USER_ID}, '{ACTIVE_ROLE}' FROM generate_series(1, %(users)s) AS n WHERE n %% 50 <> 0
"""
# In one event of a thousand an administrator, the first user, acts on another account; in the others users act on their
# own. The oldest twentieth belongs to the second user, and most of the oldest 30 % has one type: values that are
# frequent, but only among old rows, are where PostgreSQL's planner guesses wrong.
_EVENTS = f"""
INSERT INTO audit_events (occurred_at, id, type, actor_id, subject_id, ip_address, user_agent, request_id, details)
SELECT to_timestamp(({_START} + e * 100) / 1000.0),
       {_EVENT_ID.replace("n::text", "e::text").replace("+ n *", "+ e *")},
       CASE WHEN e %% 1000 = 0 THEN 'user.changed' WHEN e <= %(events)s * 3 / 10 THEN 'session.ended'
            WHEN e %% 100 = 7 THEN 'login.refused' WHEN e %% 5 < 3 THEN 'session.started' ELSE 'session.refreshed' END,
       CASE WHEN e %% 1000 = 0 THEN (SELECT id FROM users ORDER BY id LIMIT 1) ELSE subject END,
       subject, '192.0.2.1', 'seed', 'seed', '{{}}'
FROM (SELECT e, {_USER_ID} AS subject
      FROM (SELECT e, CASE WHEN e <= %(events)s / 20 THEN 2 ELSE 1 + (e * 7919) %% %(users)s END AS n
            FROM generate_series(1::bigint, %(events)s) AS e) AS chosen) AS happened
"""


def seed(connection: extensions.connection, *, users: int, events: int) -> None:
    """Insert ``users`` users and ``events`` events, with roles, and update the planner's statistics."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for statement in (_USERS, _ROLES, _HOLDERS, _EVENTS):
            cursor.execute(statement, {"users": users, "events": events})
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")


def main() -> None:
    """Seed the database that the settings name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    connection = psycopg2.connect(load_settings().database_url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM users)")
        if cursor.fetchone() == (True,):
            sys.exit("This database has users already. Seed an empty one, migrated by `flask db upgrade`.")
    seed(connection, users=arguments.users, events=arguments.events)
    connection.close()


if __name__ == "__main__":
    main()
