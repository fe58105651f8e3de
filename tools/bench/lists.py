"""Benchmark of the pages of lists, on many rows and on few, alternating in one run: ``make bench-lists``.

With a million users and a million events, no page may take more than twice as long as with a thousand of each.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2
from flask import Flask
from flask_migrate import upgrade

from authapp import create_app
from authapp.config import Settings
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.security.keys import Key, KeyRing
from tools.embedded_postgres import FAST_AND_LOSSY, EmbeddedPostgres
from tools.seed import ACTIVE_ROLE, COMMON_ROLE, RARE_ROLE, seed

ROOT = Path(__file__).resolve().parent.parent.parent
KEYS = KeyRing([Key.generate()]).to_json()
PASSWORD = "correct horse battery staple"
SMALL_ROWS = 1_000
LIMIT = 2.0

PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "users": ("users", {}),
    "users, 100": ("users", {"limit": 100}),
    "users, active": ("users", {"status": "active"}),
    "users, disabled": ("users", {"status": "disabled", "limit": 20}),
    "users, common role": ("users", {"role": COMMON_ROLE}),
    "users, rare role": ("users", {"role": RARE_ROLE}),
    "users, rare role and disabled": ("users", {"role": RARE_ROLE, "status": "disabled"}),
    "users, common role and disabled": ("users", {"role": COMMON_ROLE, "status": "disabled", "limit": 10}),
    "users, role of the active and disabled": ("users", {"role": ACTIVE_ROLE, "status": "disabled"}),
    "users, verified": ("users", {"email_verified": "true"}),
    "users, not verified": ("users", {"email_verified": "false"}),
    "users, disabled and verified": ("users", {"status": "disabled", "email_verified": "true"}),
    "users, q and verified": ("users", {"q": "anna", "email_verified": "true"}),
    "users, q of many": ("users", {"q": "anna"}),
    "users, q of few": ("users", {"q": "anna1000"}),
    "users, q of an address": ("users", {"q": "anna8@example"}),
    "users, q of none": ("users", {"q": "zoe"}),
    "users, q of many and active": ("users", {"q": "bert", "status": "active"}),
    "users, q of many and disabled": ("users", {"q": "anna", "status": "disabled", "limit": 5}),
    "users, q and role of nobody": ("users", {"q": "anna1", "role": "nobody"}),
    "users, q and rare role": ("users", {"q": "bert", "role": RARE_ROLE, "limit": 5}),
    "users, q without a rare role": ("users", {"q": "a", "role": RARE_ROLE}),
    "users, q without a common role": ("users", {"q": "bert", "role": COMMON_ROLE}),
    "users, q, role of the active, disabled": ("users", {"q": "a", "role": ACTIVE_ROLE, "status": "disabled"}),
    "roles": ("roles", {}),
    "events": ("audit-events", {}),
    "events, 100": ("audit-events", {"limit": 100}),
    "events, common type": ("audit-events", {"type": "session.started"}),
    "events, rare type": ("audit-events", {"type": "user.changed", "limit": 1}),
    "events, absent type": ("audit-events", {"type": "user.deleted"}),
    "events, of a time": ("audit-events", {"until": "2023-11-14T22:14:00Z"}),
    "events, of a user": ("audit-events", {"user_id": "SUBJECT", "limit": 1}),
    "events, of an administrator": ("audit-events", {"user_id": "ADMIN", "limit": 1}),
    "events, of a user and type": ("audit-events", {"user_id": "SUBJECT", "type": "session.started", "limit": 1}),
    "events, of a user long ago": ("audit-events", {"user_id": "BUSY"}),
    "events, of a type of long ago": ("audit-events", {"type": "session.ended"}),
    "events, of a user and absent type": ("audit-events", {"user_id": "BUSY", "type": "login.refused"}),
    "events, of a user since all of theirs": ("audit-events", {"user_id": "BUSY", "since": "2023-11-15T16:00:00Z"}),
    "events, of an administrator, absent type": ("audit-events", {"user_id": "ADMIN", "type": "login.refused"}),
    "own activity": ("users/me/activity", {}),
}
WALKED = {"users, in the middle": "users", "events, in the middle": "audit-events"}


class Side:
    """One of the two databases, and an administrator who requests its pages."""

    def __init__(self, url: str, rows: int) -> None:
        settings = {"argon2_memory_kib": 8, "argon2_time_cost": 1, "rate_limit_login": None}
        self.app: Flask = create_app(Settings(database_url=url, jwt_keys=KEYS, env="development", **settings))
        self.rows = rows
        with self.app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
        connection = psycopg2.connect(url.replace("+psycopg2", ""))
        seed(connection, users=rows, events=rows)
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM users ORDER BY id LIMIT 1")
            self.admin = str(cursor.fetchall()[0][0])
            cursor.execute("SELECT subject_id FROM audit_events ORDER BY occurred_at DESC LIMIT 1")
            self.subject = str(cursor.fetchall()[0][0])
            cursor.execute("SELECT subject_id FROM audit_events ORDER BY occurred_at LIMIT 1")
            self.busy = str(cursor.fetchall()[0][0])
        connection.close()
        with self.app.app_context():
            services = Services.of(self.app)
            names = {"username": "bench", "email": "bench@example.com"}
            services.accounts.create(**names, password=PASSWORD, roles=["admin"], context=OPERATOR)
            self._token = services.password_login.log_in("bench", PASSWORD, OPERATOR).access_token
        self._client = self.app.test_client()

    def get(self, path: str, query: dict[str, Any]) -> Any:
        """Return a page."""
        known = {"SUBJECT": self.subject, "BUSY": self.busy, "ADMIN": self.admin}
        query = {name: known.get(value, value) for name, value in query.items()}
        headers = {"Authorization": f"Bearer {self._token}"}
        response = self._client.get(f"/api/v1/{path}", query_string=query, headers=headers)
        if response.status_code != 200:
            raise RuntimeError(f"{path} {query}: {response.get_data(as_text=True)}")
        return response.get_json()

    def middle(self, path: str) -> dict[str, Any]:
        """Walk to the middle of a list, and return the query of the page there."""
        query: dict[str, Any] = {"limit": 100}
        for _ in range(self.rows // 200):
            query["cursor"] = self.get(path, query)["next_cursor"]
        return query


def seconds(side: Side, path: str, query: dict[str, Any]) -> float:
    """Return how long a page takes, in seconds."""
    start = time.perf_counter()
    side.get(path, query)
    return time.perf_counter() - start


def compare(small: Side, large: Side, rounds: int, word: str) -> Iterator[tuple[str, float, float]]:
    """Yield each page with ``word`` in its name, with its median time on few and on many rows in milliseconds."""
    for name in (name for name in [*PAGES, *WALKED] if word in name):
        path, small_query = PAGES[name] if name in PAGES else (WALKED[name], small.middle(WALKED[name]))
        large_query = small_query if name in PAGES else large.middle(path)
        pairs = [(seconds(small, path, small_query), seconds(large, path, large_query)) for _ in range(rounds)]
        small_times, large_times = zip(*pairs[rounds // 10 :], strict=True)
        yield name, median(small_times) * 1000, median(large_times) * 1000


@contextmanager
def sides(rows: int) -> Iterator[tuple[Side, Side]]:
    """Yield both databases."""
    postgres = EmbeddedPostgres(ROOT / "build" / "bench", (*FAST_AND_LOSSY, "shared_buffers=512MB"))
    postgres.start()
    made: list[Side] = []
    try:
        for name, count in (("few", SMALL_ROWS), ("many", rows)):
            postgres.drop_database(f"lists_{name}")
            made.append(Side(postgres.ensure_database(f"lists_{name}"), count))
        yield made[0], made[1]
    finally:
        for side in made:
            with side.app.app_context():
                db.engine.dispose()
        postgres.stop()


def main() -> int:
    """Print the table; the exit status is 1 when a page is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="users and events in the larger database")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", metavar="WORD", default="", help="measure only pages with WORD in their name")
    arguments = parser.parse_args()
    slow = 0
    with sides(arguments.rows) as (small, large):
        print(f"{'page':40} {SMALL_ROWS:>9} {arguments.rows:>9}  ratio   (medians in ms)")
        for name, on_small, on_large in compare(small, large, arguments.rounds, arguments.only):
            ratio = on_large / on_small
            slow += ratio > LIMIT
            print(
                f"{name:40} {on_small:9.2f} {on_large:9.2f}  {ratio:5.2f}{'   over 2' if ratio > LIMIT else ''}",
                flush=True,
            )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
