"""What the benchmark seeds is what the application would have written: it is listed, filtered, walked through."""

import psycopg2
import pytest
from flask import Flask
from tools.seed import ACTIVE_ROLE, COMMON_ROLE, RARE_ROLE, seed

from authapp.database.session import db
from factories import Api, a_session, a_user

pytestmark = pytest.mark.committed


def test_the_seeded_rows_are_users_and_events(app: Flask, api: Api) -> None:
    with app.app_context():
        url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(url)
    seed(connection, users=200, events=2000)
    connection.close()
    token = a_session(app, a_user(app, "zoe", roles=["admin"])).access_token

    def count(path: str, **query: str) -> int:
        total = 0
        while True:
            page = api.get(path, token, query_string={"limit": 100, **query}).get_json()
            total += len(page["items"])
            if page["next_cursor"] is None:
                return total
            query["cursor"] = page["next_cursor"]

    assert count("/users") == 201
    assert count("/users", status="disabled") == 4
    assert count("/users", q="anna") == 25
    assert count("/users", role=COMMON_ROLE) == 100
    assert count("/users", role=RARE_ROLE) == 20
    assert count("/users", role=ACTIVE_ROLE) == 196
    assert count("/users", role=ACTIVE_ROLE, status="disabled") == 0
    assert count("/audit-events", type="user.changed") == 2
    assert count("/audit-events", type="session.ended") == 600
    assert count("/audit-events", until="2024-01-01T00:00:00Z") == 2000
