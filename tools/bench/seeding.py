"""Database content for the benchmarks: users, sessions with their tokens, and a long blocklist."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg2
from psycopg2.extras import execute_values

from authapp import clock
from authapp.config import OWASP_ARGON2
from authapp.security import api_keys, identifiers
from authapp.security.keys import KeyRing
from authapp.security.passwords import Passwords
from authapp.security.tokens import TokenRules, Tokens

PEOPLE = 1000
PASSWORD = "correct horse battery staple"
ISSUER, AUDIENCE = "http://127.0.0.1:8000", "authapp"

_PERSON = """INSERT INTO users (id, username, username_key, email, email_key, password_hash, status, created_at,
             updated_at) VALUES %s"""
_SESSION = """INSERT INTO sessions (user_id, id, created_at, last_used_at, expires_at, refresh_jti, rotated_at,
              refresh_expires_at) VALUES %s"""
_API_KEY = "INSERT INTO api_keys (user_id, id, secret_hash, prefix, name, created_at) VALUES %s"
_BLOCKLIST = """
INSERT INTO token_blocklist (user_id, jti, token_type, expires_at, revoked_at)
SELECT (%(people)s::uuid[])[1 + number %% %(count)s], gen_random_uuid(), 'access', now() + interval '15 minutes', now()
FROM generate_series(1, %(rows)s) AS number
"""
_MAILS = """
INSERT INTO outgoing_mail (id, kind, user_id, address, context, attempts, next_attempt_at, created_at)
SELECT gen_random_uuid(), 'password_changed', id, email, '{}', 0, now(), now() FROM users LIMIT %(count)s
"""


class Seed:
    """A database with users, for whom sessions can be created."""

    def __init__(self, url: str, keys: str, folder: Path) -> None:
        self._connection = psycopg2.connect(url.replace("+psycopg2", ""))
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute("SET statement_timeout = 0")
        self._folder = folder
        rules = TokenRules(issuer=ISSUER, audience=AUDIENCE, access_ttl=900, refresh_ttl=2_592_000, leeway=5)
        self._tokens = Tokens(KeyRing.from_json(keys), rules)
        self.people = self._add_people()
        self._rows = 0

    def token(self) -> str:
        """Return the access token of a new session."""
        return self._sessions(1, "access")[0]

    def api_key(self) -> str:
        """Return a new API key, which allows all that its owner may."""
        user_id, key_id = self.people[0], identifiers.time_ordered()
        key = api_keys.generate(user_id, key_id)
        row = (
            str(user_id),
            str(key_id),
            api_keys.hash_of(key),
            api_keys.prefix_of(user_id, key_id),
            "bench",
            clock.now(),
        )
        execute_values(self._cursor, _API_KEY, [row])
        return key

    def script(self, name: str, count: int, type_: str, path: str) -> Path:
        """Write a wrk script that posts to ``path``, each time with the token of a new session; return its path."""
        tokens = self._folder / f"{name}.tokens"
        tokens.write_text("\n".join(self._sessions(count, type_)) + "\n")
        script = self._folder / f"{name}.lua"
        script.write_text(
            f"""local tokens = {{}}
for line in io.lines({json.dumps(str(tokens))}) do tokens[#tokens + 1] = line end
local at = 0
function request()
  at = at + 1
  return wrk.format("POST", "{path}", {{["Authorization"] = "Bearer " .. (tokens[at] or "none is left")}})
end
"""
        )
        return script

    def bodies(self, name: str, path: str, body: str) -> Path:
        """Write a wrk script that posts ``body`` to ``path``, and return its path.

        ``body`` is a Lua expression, in which ``at`` is the number of the request, starting with 1.
        """
        script = self._folder / f"{name}.lua"
        script.write_text(
            f"""local at = 0
function request()
  at = at + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, {body})
end
"""
        )
        return script

    def fill_blocklist(self, rows: int) -> None:
        """Add entries to the blocklist until it has ``rows`` rows."""
        parameters = {"people": [str(person) for person in self.people], "count": PEOPLE, "rows": rows - self._rows}
        self._cursor.execute(_BLOCKLIST, parameters)
        self._cursor.execute("VACUUM ANALYZE token_blocklist")
        self._cursor.execute("CHECKPOINT")
        self._rows = rows

    def settle(self) -> None:
        """Run VACUUM, ANALYZE and CHECKPOINT now, so that PostgreSQL does not do so during a measurement."""
        self._cursor.execute("VACUUM ANALYZE")
        self._cursor.execute("CHECKPOINT")

    def queue_mails(self, count: int) -> None:
        """Store mails that are due, each to another person."""
        self._cursor.execute(_MAILS, {"count": count})

    def queued_mails(self) -> int:
        """Return how many mails wait to be sent."""
        self._cursor.execute("SELECT count(*) FROM outgoing_mail")
        return int(self._cursor.fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _add_people(self) -> list[UUID]:
        hashed = Passwords(
            memory_kib=OWASP_ARGON2["argon2_memory_kib"], time_cost=OWASP_ARGON2["argon2_time_cost"]
        ).hash(PASSWORD)
        now = clock.now()
        ids = [identifiers.time_ordered() for _ in range(PEOPLE)]
        rows = [
            (str(id_), name, name, f"{name}@example.com", f"{name}@example.com", hashed, "active", now, now)
            for id_, name in ((id_, f"person{number}") for number, id_ in enumerate(ids, start=1))
        ]
        execute_values(self._cursor, _PERSON, rows)
        return ids

    def _sessions(self, count: int, type_: str) -> list[str]:
        now = clock.now()
        later = now + timedelta(days=30)
        rows, tokens = [], []
        for number in range(count):
            user_id, session_id = self.people[number % PEOPLE], identifiers.time_ordered()
            jti, refresh_jti = identifiers.unguessable(), identifiers.unguessable()
            rows.append((str(user_id), str(session_id), now, now, later, str(refresh_jti), now, later))
            tokens.append(
                self._tokens.sign(
                    "access" if type_ == "access" else "refresh",
                    user_id=user_id,
                    session_id=session_id,
                    jti=jti if type_ == "access" else refresh_jti,
                    issued_at=now,
                    expires_at=now + timedelta(minutes=15) if type_ == "access" else later,
                    amr=["pwd"],
                    auth_time=now,
                )
            )
        execute_values(self._cursor, _SESSION, rows, page_size=1000)
        return tokens
