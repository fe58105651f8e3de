"""What tests start from, made by the domain itself."""

import itertools
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from authapp.context import OPERATOR, RequestContext
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.api_keys.api_keys import ApiKeyRequest
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import ApiKey, AuditEvent, OutgoingMail, User
from authapp.security import api_keys

PASSWORD = "correct horse battery staple"
API = "/api/v1"
GUEST = RequestContext(ip_address="192.0.2.1", user_agent="tests", request_id=None, principal=None)
_numbers = itertools.count(1)


def a_user(app: Flask, username: str | None = None, **changes: Any) -> User:
    """Create a user, named by a number unless told otherwise."""
    name = username or f"user{next(_numbers)}"
    values = {"username": name, "email": f"{name.lower()}@example.com", "password": PASSWORD, **changes}
    with app.app_context():
        return Services.of(app).accounts.create(**values, context=OPERATOR)


def a_session(app: Flask, user: User, password: str = PASSWORD) -> TokenPair:
    """Log a user in."""
    with app.app_context():
        return Services.of(app).password_login.log_in(user.username, password, GUEST)


def a_token(app: Flask, user: User, purpose: str = TokenPurpose.RESET_PASSWORD, **changes: Any) -> str:
    """Issue a one-time token, as the sender of a mail does."""
    with app.app_context(), transaction():
        return one_time_tokens.issue(user.id, purpose, **{"sent_to": user.email, **changes})


def mails(app: Flask) -> list[tuple[str, str | None, UUID | None]]:
    """Return kind, address and account of every mail in the outbox, the oldest first."""
    with app.app_context():
        stored = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id))
        return [(mail.kind, mail.address, mail.user_id) for mail in stored]


def events_of(app: Flask, user: User, *types: str) -> list[AuditEvent]:
    """Return the audit events of these types about ``user``, or of every type, the oldest first."""
    with app.app_context():
        found = select(AuditEvent).where(AuditEvent.subject_id == user.id).order_by(AuditEvent.id)
        return [event for event in db.session.scalars(found) if not types or event.type in types]


def all_events(app: Flask, event_type: str) -> list[AuditEvent]:
    """Return the audit events of a type, whoever they are about, the oldest first."""
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).where(AuditEvent.type == event_type).order_by(AuditEvent.id)))


@dataclass
class Api:
    """A client of the API: paths without their prefix, and a token as an argument."""

    client: FlaskClient

    def __call__(self, method: str, path: str, token: str | None = None, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.open(API + path, method=method, headers=headers, **options)

    def get(self, path: str, token: str | None = None, **options: Any) -> TestResponse:
        return self("GET", path, token, **options)

    def post(self, path: str, json: Any = None, token: str | None = None, **options: Any) -> TestResponse:
        return self("POST", path, token, **({"json": json} if json is not None else {}), **options)

    def log_in(self, username: str, password: str = PASSWORD) -> TestResponse:
        return self.post("/auth/login", {"username": username, "password": password})


def client(key: str) -> dict[str, str]:
    """Return the header of a client of OAuth with an API key (RFC 6749, section 2.3.1)."""
    credentials = f"{key[: api_keys.PREFIX_LENGTH]}:{key}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}


def key_token(api: Api, key: str, **form: str) -> str:
    """Get an access token for an API key."""
    form = {"grant_type": "client_credentials", **form}
    response = api.post("/oauth/token", headers=client(key), data=form)
    assert response.status_code == 200, response.get_json()
    token: str = response.get_json()["access_token"]
    return token


def problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Return the problem that ``response`` tells, after checking that it is the expected one, in the agreed shape."""
    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.content_type == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"/problems/{code}"
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store"
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="authapp"')
    return body


def a_service(app: Flask, username: str | None = None, roles: Sequence[str] = ()) -> User:
    """Create a service account, named by a number unless told otherwise."""
    with app.app_context():
        name = username or f"service{next(_numbers)}"
        return Services.of(app).accounts.create(username=name, roles=roles, context=OPERATOR)


def an_api_key(app: Flask, user: User, **wanted: Any) -> str:
    """Make an API key of an account, and return it."""
    with app.app_context():
        request = ApiKeyRequest(**{"name": "tests", **wanted})
        return Services.of(app).api_keys.create_for(user.id, request, OPERATOR).secret


def api_key_row(app: Flask, key: str) -> ApiKey:
    """Return what is stored of an API key."""
    ids = api_keys.parse(key)
    with app.app_context():
        return db.session.get_one(ApiKey, (ids.user_id, ids.key_id))
