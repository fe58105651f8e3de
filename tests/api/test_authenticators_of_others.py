"""A kind of factor that somebody else registers, which is answered as a passkey is: here, a badge with a key."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Column, MetaData, Table, Uuid, func, insert, select
from test_step_ups import claims

from authapp import FactorAttempt, FactorKind, Prover, RequestContext, SecondStep
from authapp.database.session import transaction
from authapp.domain.audit import EventType
from authapp.models import User
from authenticator import Authenticator, request_options
from databases import Databases
from factories import Api, a_session, a_user, events_of, problem
from factors import challenge_of
from registered_kinds import app_with_kind

badges = Table("badges", MetaData(), Column("user_id", Uuid))


def options(_user_id: UUID, bound_to: bytes) -> dict[str, Any]:
    return {"asked_for": bound_to.hex()}


def prove(attempt: FactorAttempt, _context: RequestContext) -> tuple[str, ...]:
    """Accept an answer whose signature is what its login or session was asked with."""
    return ("badge",) if attempt.answer["response"]["signature"] == attempt.bound_to.hex() else ()


@pytest.fixture
def app(databases: Databases) -> Iterator[Flask]:
    badge = FactorKind(
        state=select(func.count()).where(badges.c.user_id == FactorKind.user_id).scalar_subquery(),
        second_step=SecondStep(prover=lambda _tools: Prover(prove, options), codes=None),
        delete=lambda _user_id, _since: 0,
    )
    with app_with_kind(databases, "badge", badge, badges) as app:
        yield app


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app.test_client())


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app)


@pytest.fixture
def token(app: Flask, user: User) -> str:
    """The token of a session from before there was a badge."""
    return a_session(app, user).access_token


@pytest.fixture
def credential(api: Api, token: str, app: Flask, user: User) -> dict[str, Any]:
    """Give the account a badge, and return what it answers, but for the signature."""
    with app.app_context(), transaction() as session:
        session.execute(insert(badges).values(user_id=user.id))
    return Authenticator().get(request_options(api), userHandle=None)


def asked_in_session(token: str) -> dict[str, str]:
    """Return what a route of the registered kind gives out in a session, for a step-up."""
    return options(uuid4(), UUID(claims(token)["sid"]).bytes)


def signed(credential: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
    return {**credential, "response": {**credential["response"], "signature": asked["asked_for"]}}


def test_it_completes_a_login(api: Api, user: User, credential: dict[str, Any]) -> None:
    body = {"challenge": challenge_of(api, user), "factor": "badge"}
    asked = api.post("/auth/second-factors", body).get_json()
    problem(api.post("/auth/second-factors", {**body, "credential": credential}), 401, "second_factor_invalid")
    assert api.post("/auth/second-factors", {**body, "credential": signed(credential, asked)}).status_code == 200


def test_a_session_is_stepped_up_with_it(api: Api, token: str, credential: dict[str, Any]) -> None:
    problem(api.post("/auth/step-ups", {"factor": "badge"}, token), 422, "validation_failed")
    body = {"factor": "badge", "credential": signed(credential, asked_in_session(token))}
    pair = api.post("/auth/step-ups", body, token)
    assert pair.status_code == 200, pair.text
    (session,) = api.get("/users/me/sessions", pair.get_json()["access_token"]).get_json()["items"]
    assert session["amr"] == ["pwd", "badge", "mfa"]


def test_what_it_answers_is_for_one_session(
    app: Flask, api: Api, token: str, user: User, credential: dict[str, Any]
) -> None:
    asked = asked_in_session(token)
    login = {"challenge": challenge_of(api, user), "factor": "badge"}
    started = api.post("/auth/second-factors", {**login, "credential": signed(credential, asked)})
    problem(started, 401, "second_factor_invalid")
    asked_in_login = api.post("/auth/second-factors", login).get_json()
    pair = api.post("/auth/second-factors", {**login, "credential": signed(credential, asked_in_login)}).get_json()
    body = {"factor": "badge", "credential": signed(credential, asked)}
    problem(api.post("/auth/step-ups", body, pair["access_token"]), 401, "second_factor_invalid")


def test_an_answer_cannot_be_guessed_so_that_wrong_ones_are_recorded_and_not_counted(
    app: Flask, api: Api, user: User, token: str, credential: dict[str, Any]
) -> None:
    for _ in range(12):
        body = {"factor": "badge", "credential": credential}
        problem(api.post("/auth/step-ups", body, token), 401, "second_factor_invalid")
    refused = events_of(app, user, EventType.SECOND_FACTOR_REFUSED)
    assert [event.details for event in refused] == [{"factor": "badge"}] * 12
    asked = asked_in_session(token)
    body = {"factor": "badge", "credential": signed(credential, asked)}
    assert api.post("/auth/step-ups", body, token).status_code == 200


def test_an_account_without_one_cannot_use_it(app: Flask, api: Api, credential: dict[str, Any]) -> None:
    token = a_session(app, a_user(app)).access_token
    body = {"factor": "badge", "credential": credential}
    problem(api.post("/auth/step-ups", body, token), 401, "second_factor_invalid")


@pytest.mark.parametrize(
    "change", [{"code": "287082", "credential": None}, {"challenge_id": "Ynk"}, {"factor": "passkey"}]
)
def test_a_body_says_one_thing(api: Api, token: str, credential: dict[str, Any], change: dict[str, Any]) -> None:
    body = {"factor": "badge", "credential": credential, **change}
    given = {name: value for name, value in body.items() if value is not None}
    problem(api.post("/auth/step-ups", given, token), 422, "validation_failed")
