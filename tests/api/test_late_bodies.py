"""A body may arrive long after the token was verified: what was taken away meanwhile is gone, on every route."""

import json
import re
from collections.abc import Callable
from io import RawIOBase
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from flask import Blueprint as PlainBlueprint
from flask import Flask, Request
from flask import request as incoming
from flask_jwt_extended import verify_jwt_in_request

from api.access_table import ACCESS, FRESH, GUEST, RECENT, REFRESH, TABLE, TWO_FACTORS
from authapp import AuthApp, Blueprint, clock, create_app
from authapp.api.authenticate import Authenticator
from authapp.context import OPERATOR, Principal, RequestContext
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.errors import TokenRevoked
from authapp.models import User
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from factories import PASSWORD, Api, a_session, a_user, an_api_key, problem
from settings import settings

NEW_PASSWORD = "another horse battery staple"
Write = Callable[[Services, UUID, RequestContext], object]

WRITES: dict[str, Write] = {
    "change password": lambda services, user, context: services.accounts.change_password(
        user, context.session_id, PASSWORD, NEW_PASSWORD, context
    ),
    "delete": lambda services, user, context: services.accounts.delete_own(user, PASSWORD, context),
}
ENDS: dict[str, Write] = {
    "logout": lambda services, user, context: services.sessions.end(user, context.session_id or user, OPERATOR),
    "logout everywhere": lambda services, user, _context: services.administration.end_sessions(user, OPERATOR),
    "disabled": lambda services, user, _context: services.administration.disable(user, OPERATOR),
}


UNSAFE = {route: level for route, level in TABLE.items() if level != GUEST and not route.startswith("GET")}


class LateBody:
    """A body whose last byte arrives after ``meanwhile`` has been done."""

    def __init__(self, body: bytes, meanwhile: Callable[[], object]) -> None:
        self._body = body
        self._meanwhile = meanwhile

    def read(self, size: int = -1) -> bytes:
        if len(self._body) == 1:
            self._meanwhile()
        count = max(1, min(size if size >= 0 else len(self._body), len(self._body) - 1))
        part, self._body = self._body[:count], self._body[count:]
        return part


def late(body: bytes, meanwhile: Callable[[], object]) -> dict[str, Any]:
    """Return what the WSGI environment has of such a body."""
    return {"wsgi.input": LateBody(body, meanwhile), "CONTENT_LENGTH": str(len(body))}


def request(api: Api, route: str, token: str, body: bytes, meanwhile: Callable[[], object]) -> Any:
    method, rule = route.split()
    path = re.sub("<uuid:[a-z_]+>", str(uuid4()), rule).replace("<name>", "nobody")
    return api.client.open(
        path,
        method=method,
        headers={"Authorization": f"Bearer {token}"},
        environ_overrides=late(body, meanwhile),
    )


@pytest.mark.parametrize("taken_away", ["session", "every session", "status", "role"])
@pytest.mark.parametrize("route", UNSAFE)
def test_what_is_taken_away_while_the_body_is_on_the_way_is_not_used(
    app: Flask, api: Api, route: str, taken_away: str
) -> None:
    level = UNSAFE[route]
    a_user(app, roles=[ADMIN])
    user, services = a_user(app, roles=[ADMIN]), Services.of(app)
    pair = a_session(app, user)
    done: list[str] = []

    def meanwhile() -> None:
        done.append(taken_away)
        with app.app_context():
            if taken_away == "session":
                services.sessions.end(user.id, UUID(services.tokens.read(pair.access_token)["sid"]), OPERATOR)
            elif taken_away == "every session":
                services.administration.end_sessions(user.id, OPERATOR)
            elif taken_away == "status":
                services.administration.disable(user.id, OPERATOR)
            else:
                services.administration.revoke(user.id, ADMIN, OPERATOR)

    body = json.dumps({"password": PASSWORD}).encode()
    if level == REFRESH:
        body = json.dumps({"refresh_token": pair.refresh_token}).encode()
        response = api.client.open(
            route.split()[1],
            method="POST",
            content_type="application/json",
            environ_overrides=late(body, meanwhile),
        )
    else:
        response = request(api, route, pair.access_token, body, meanwhile)

    assert done == [taken_away], "the body was not waited for"
    if taken_away != "role":
        problem(response, 401, "token_revoked")
    elif level not in {ACCESS, FRESH, RECENT, TWO_FACTORS, REFRESH}:
        problem(response, 403, "permission_denied")


@pytest.mark.parametrize("route", [route for route, level in UNSAFE.items() if level != REFRESH])
@pytest.mark.parametrize("token", ["", "garbage", "expired", "forged"])
def test_nobody_waits_for_the_body_of_a_request_without_a_good_token(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, route: str, token: str
) -> None:
    sent = {"garbage": "x.y.z"}.get(token, token)
    if token in {"expired", "forged"}:
        with monkeypatch.context() as patch:
            past = clock.now().replace(year=2020)
            if token == "expired":
                patch.setattr(clock, "now", lambda: past)
            sent = a_session(app, a_user(app)).access_token
            sent = sent[:-8] + "AAAAAAAA" if token == "forged" else sent
    read: list[None] = []

    response = request(api, route, sent, b"{}", lambda: read.append(None))

    assert response.status_code == 401
    assert read == []


def test_a_bad_credential_is_reported_before_a_bad_body(app: Flask, api: Api) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    too_large = b" " * 70_000
    problem(api("PATCH", "/users/me", token, data=too_large, content_type="application/json"), 413, "payload_too_large")
    with app.app_context():
        Services.of(app).administration.end_sessions(user.id, OPERATOR)
    problem(api("PATCH", "/users/me", token, data=too_large, content_type="application/json"), 401, "token_revoked")


class KeyInHeader:
    """An authenticator that asks about its credential before it has seen the body."""

    security_schemes: ClassVar[dict[str, Any]] = {}
    refusals: ClassVar[list[Any]] = []

    def __init__(self, principal: Principal) -> None:
        self.principal: Principal | None = principal
        self.asked = 0

    def authenticate(self, request: Request) -> Principal | None:
        if "X-Key" not in request.headers:
            return None
        self.asked += 1
        return self.principal


@pytest.mark.committed
def test_a_credential_of_an_authenticator_of_others_is_asked_about_again(databases: Databases) -> None:
    blueprint = Blueprint("notes", __name__)

    @blueprint.post("/notes")
    def create_note() -> dict[str, str]:
        return {"json": incoming.stream.read().decode()}

    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        AuthApp.of(app).register_blueprint(blueprint)
        services = Services.of(app)
        status = services.principals.token_status(services.tokens.read(a_session(app, a_user(app)).access_token))
        assert status is not None
        key = KeyInHeader(status.principal)
        authenticators: list[Authenticator] = AuthApp.of(app).authenticators
        authenticators.insert(0, key)
        client = app.test_client()

        def post(meanwhile: Callable[[], object]) -> Any:
            return client.post("/notes", headers={"X-Key": "1"}, environ_overrides=late(b'{"a": 1}', meanwhile))

        answer = post(lambda: None)
        assert (answer.status_code, answer.get_json()) == (200, {"json": '{"a": 1}'})
        assert key.asked == 2
        problem(post(lambda: setattr(key, "principal", None)), 401, "token_missing")
        key.principal, key.asked = status.principal, 0
        assert client.post("/notes", headers={"X-Key": "1"}).status_code == 200
        assert key.asked == 1, "without a body there is nothing to wait for"
        dispose(app)


def test_what_is_no_key_is_refused_before_the_body_is_here(app: Flask, api: Api) -> None:
    key = an_api_key(app, a_user(app))
    arrived: list[str] = []
    for sent in (key[:-1], f"{key[:-1]}{'0' if key[-1] != '0' else '1'}", "ak_"):
        answer = request(api, "POST /api/v1/auth/revoke", sent, b"token=x", lambda: arrived.append("garbage"))
        problem(answer, 401, "token_invalid")
    request(api, "POST /api/v1/auth/revoke", key, b"token=x", lambda: arrived.append("key"))
    assert arrived == ["key"]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("end", ENDS)
def test_what_was_let_in_before_its_session_ended_writes_nothing(app: Flask, write: str, end: str) -> None:
    user, services = a_user(app), Services.of(app)
    token = a_session(app, user).access_token
    with app.app_context():
        status = services.principals.token_status(services.tokens.read(token))
        assert status is not None
        context = RequestContext(None, None, None, status.principal)
        ENDS[end](services, user.id, context)
        db.session.expire_all()
        before = db.session.get_one(User, user.id).password_hash

        with pytest.raises(TokenRevoked):
            WRITES[write](services, user.id, context)

        kept = db.session.get_one(User, user.id, populate_existing=True)
        assert (kept.username, kept.password_hash) == (user.username, before)


@pytest.mark.parametrize("write", WRITES)
def test_what_was_let_in_writes_while_its_session_lives(app: Flask, write: str) -> None:
    user, services = a_user(app), Services.of(app)
    token = a_session(app, user).access_token
    with app.app_context():
        status = services.principals.token_status(services.tokens.read(token))
        assert status is not None
        WRITES[write](services, user.id, RequestContext(None, None, None, status.principal))


class CutBody(RawIOBase):
    """A chunked body that breaks off after a part that looks complete; later reads find a clean end, as gunicorn's."""

    def __init__(self, part: bytes) -> None:
        self._parts = [part, None]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._parts.pop(0) if self._parts else b""
        if part is None:
            raise OSError("cut")
        buffer[: len(part)] = part
        return len(part)


READERS: dict[str, Callable[[], Any]] = {
    "json": lambda: incoming.get_json(force=True),
    "form": lambda: dict(incoming.form),
    "data": lambda: incoming.get_data(as_text=True),
    "stream": lambda: incoming.stream.read().decode(),
}


@pytest.mark.committed
@pytest.mark.parametrize("reader", READERS)
def test_a_view_of_a_project_never_sees_the_first_part_of_a_broken_body(app: Flask, api: Api, reader: str) -> None:
    plain = PlainBlueprint("plain", __name__)
    plain.add_url_rule("/pay", "pay", lambda: {"read": READERS[reader]()}, methods=["POST"])
    AuthApp.of(app).register_blueprint(plain)
    kind = "application/x-www-form-urlencoded" if reader == "form" else "application/json"
    environ = {
        "wsgi.input": CutBody(b'{"amount": 1}'),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    answer = api.client.post(
        "/pay",
        headers={"Authorization": f"Bearer {a_session(app, a_user(app)).access_token}"},
        content_type=kind,
        environ_overrides=environ,
    )
    problem(answer, 400, "malformed_request")


def test_an_answer_that_an_earlier_function_got_before_the_body_is_not_used(databases: Databases) -> None:
    with databases.migrated() as url:
        app = Flask("others")

        @app.before_request
        def look_at_the_token() -> None:
            verify_jwt_in_request(optional=True)

        AuthApp(app, settings(database_url=url))
        user = a_user(app)
        pair = a_session(app, user)

        def meanwhile() -> None:
            with app.app_context():
                Services.of(app).administration.disable(user.id, OPERATOR)

        answer = request(Api(app.test_client()), "PATCH /api/v1/users/me", pair.access_token, b"{}", meanwhile)
        problem(answer, 401, "token_revoked")
        dispose(app)
