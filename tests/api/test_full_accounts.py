"""What a request costs where an account has stored up all that it may, and the service has many of everything.

One greenlet holds all others of its worker while it computes. What a request computes is counted in calls of
functions, which no other process makes slower or faster.
"""

import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import insert, select

from api.access_table import TABLE
from authapp.database.session import db, transaction
from authapp.models import AuditEvent, Role, Session, User, UserRole
from authapp.models.role import ADMIN
from authapp.security.identifiers import uuid7
from factories import Api, a_session, a_user, an_api_key
from factors import an_app

MOST_PINGS = 100
"""How many times the calls of ``GET /ping`` a request may make: 30 ms of a processor where ``/ping`` takes 0.4 ms.

That leaves room for slower machines below the bound of 50 ms. The most has the export, with 70.
"""

ROLES = 49
"""With the one of administrators as many as an account may have."""

API_KEYS = 50
MANY = 400
"""More than a page, and than an export has of a list."""


def copied(model: Any, user: User, number: int, changes: Callable[[int], dict[str, Any]]) -> None:
    """Store so many more rows like one that the user has."""
    owner = model.subject_id if model is AuditEvent else model.user_id
    row = db.session.execute(select(*model.__table__.columns).where(owner == user.id).limit(1)).one()._asdict()
    db.session.execute(insert(model), [row | changes(each) for each in range(number)])


@pytest.fixture
def full(app: Flask) -> tuple[User, str]:
    """An administrator who has stored up all that an account may, and an access token."""
    user = a_user(app, "root", roles=[ADMIN])
    token = a_session(app, user).access_token
    an_app(app, user)
    for _ in range(API_KEYS):
        an_api_key(app, user)
    with app.app_context(), transaction():
        names = [f"role{number}" for number in range(MANY)]
        db.session.execute(
            insert(Role), [{"name": name, "description": name, "permissions": ["users:read"]} for name in names]
        )
        db.session.execute(insert(UserRole), [{"user_id": user.id, "role_name": name} for name in names[:ROLES]])
        copied(Session, user, MANY, lambda _: {"id": uuid7(), "refresh_jti": uuid4()})
        copied(AuditEvent, user, MANY, lambda _: {"id": uuid7()})
    for _ in range(MANY // 2):
        a_user(app)
    return user, token


def calls(do: Callable[[], Any]) -> int:
    """Return how many functions are called meanwhile, of Python and of C, by this thread."""
    count = 0

    def counting(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counting)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def test_no_answer_takes_much_more_than_a_ping(api: Api, full: tuple[User, str]) -> None:
    user, token = full
    numbers = {}
    for route in ["GET /api/v1/ping", *[each for each in TABLE if each.startswith("GET")]]:
        path = re.sub("<[a-z:]+>", "unknown", route.split()[1].replace("<uuid:user_id>", str(user.id)))
        ask = partial(api.client.get, path, query_string="limit=100", headers={"Authorization": f"Bearer {token}"})
        ask()  # what is made once, such as documents, is made
        numbers[route] = calls(ask)
    most = MOST_PINGS * numbers["GET /api/v1/ping"]
    assert {route: number for route, number in numbers.items() if number > most} == {}
