"""A kind of factor that somebody else registers, from a file of theirs alone: here, codes by fax."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Column, DateTime, MetaData, Table, Uuid, delete, event, func, insert, select
from test_step_ups import claims

from authapp import (
    AuthenticationResult,
    CodeRules,
    FactorAttempt,
    FactorKind,
    Prover,
    RequestContext,
    SecondStep,
    clock,
    factor_kinds,
)
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.factors import recovery_codes
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.pending_logins import MAX_FAILURES
from authapp.domain.hooks import credentials_voiding
from authapp.domain.services import Services
from authapp.errors import LastWayIn, SecondFactorInvalid, SecondFactorRequired
from authapp.models import User
from authenticator import add_passkey
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_session, a_user, events_of, problem
from factors import an_app, challenge_of, second_step
from registered_kinds import app_with_kind

CODE, RAISES = "fax-4711", "fax-9999"

fax_machines = Table(
    "fax_machines", MetaData(), Column("user_id", Uuid), Column("added_at", DateTime(timezone=True), default=func.now())
)


def prove(attempt: FactorAttempt, _context: RequestContext) -> tuple[str, ...]:
    if attempt.answer == RAISES:
        raise SecondFactorInvalid
    return ("fax",) if attempt.answer == CODE else ()


def delete_machines(user_id: UUID, since: datetime | None) -> int:
    later = () if since is None else (fax_machines.c.added_at > since,)
    result: Any = db.session.execute(delete(fax_machines).where(fax_machines.c.user_id == user_id, *later))
    return int(result.rowcount)


NUMBER = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}

FAX_STEP = SecondStep(
    prover=lambda _tools: Prover(prove),
    codes=CodeRules(fits=lambda code: code.startswith("fax")),
)

FAX = FactorKind(
    state=select(func.count()).where(fax_machines.c.user_id == FactorKind.user_id).scalar_subquery(),
    second_step=FAX_STEP,
    ways_in=lambda number, _settings: number,
    delete=delete_machines,
    member="fax_machines",
    show=lambda _user_id, number: {"number": number},
    member_schema=NUMBER,
)


@pytest.fixture
def app(databases: Databases) -> Iterator[Flask]:
    with app_with_kind(databases, "fax", FAX, fax_machines) as app:
        yield app


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app.test_client())


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app)


def add_machine(app: Flask, user: User) -> None:
    with app.app_context(), transaction() as session:
        session.execute(insert(fax_machines).values(user_id=user.id))


def test_it_is_asked_for_at_a_login_and_completes_it(app: Flask, api: Api, user: User) -> None:
    assert api.log_in(user.username).status_code == 200
    add_machine(app, user)
    assert problem(api.log_in(user.username), 401, "second_factor_required")["factors"] == ["fax"]
    challenge = challenge_of(api, user)
    problem(second_step(api, challenge, "fax-0000", "fax"), 401, "second_factor_invalid")
    problem(second_step(api, challenge, "287082"), 401, "second_factor_invalid")
    pair = second_step(api, challenge, CODE, "fax").get_json()
    (session, *_) = api.get("/users/me/sessions", pair["access_token"]).get_json()["items"]
    assert (session["amr"], session["acr"]) == (["pwd", "fax", "mfa"], "mfa")


def log_in_by_fax(app: Flask, user: User, method: str = "fax") -> Any:
    """Do what a route of the registered kind does, once its code was right."""
    with app.app_context():
        version = db.session.get_one(User, user.id).updated_at
        result = AuthenticationResult(user.id, (method,), clock.now(), version, factor="fax")
        return Services.of(app).sessions.start(result, GUEST)


def test_a_login_by_its_only_factor_is_asked_for_no_other_and_is_one_factor(app: Flask, api: Api, user: User) -> None:
    add_machine(app, user)
    with app.app_context(), transaction():
        (code, *_) = recovery_codes.replace_all(user.id)
    token = log_in_by_fax(app, user).access_token
    assert claims(token)["amr"] == ["fax"]
    stepped_up = api.post("/auth/step-ups", {"factor": "fax", "code": CODE}, token).get_json()["access_token"]
    assert claims(stepped_up)["amr"] == ["fax"]
    stepped_up = api.post("/auth/step-ups", {"code": code}, stepped_up).get_json()["access_token"]
    assert claims(stepped_up)["amr"] == ["fax", "recovery_code", "mfa"]


def test_a_login_by_it_is_completed_by_another_factor_alone(app: Flask, api: Api, user: User) -> None:
    phone = an_app(app, user)
    add_machine(app, user)
    with pytest.raises(SecondFactorRequired) as refused:
        log_in_by_fax(app, user)
    assert refused.value.members["factors"] == ["totp", "recovery_code"]
    challenge = str(refused.value.members["challenge"])
    problem(second_step(api, challenge, CODE, "fax"), 401, "second_factor_invalid")
    token = second_step(api, challenge, phone.code()).get_json()["access_token"]
    assert claims(token)["amr"] == ["fax", "otp", "mfa"]


def test_two_kinds_of_one_method_are_two_factors(app: Flask, api: Api, user: User) -> None:
    """Or the login would be asked for a second factor again after each."""
    phone = an_app(app, user)
    add_machine(app, user)
    with pytest.raises(SecondFactorRequired) as refused:
        log_in_by_fax(app, user, "otp")
    token = second_step(api, str(refused.value.members["challenge"]), phone.code()).get_json()["access_token"]
    assert claims(token)["amr"] == ["otp", "mfa"]


def test_a_mere_way_in_is_no_second_step(app: Flask, api: Api, user: User) -> None:
    add_machine(app, user)
    body = {"challenge": challenge_of(api, user), "code": PASSWORD}
    for way_in in ("password", "provider"):
        problem(api.post("/auth/second-factors", {**body, "factor": way_in}), 422, "validation_failed")


def test_a_code_is_sent_with_the_request_and_not_asked_for(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    add_machine(app, user)
    body = {"challenge": challenge_of(api, user), "factor": "fax"}
    problem(api.post("/auth/second-factors", body), 422, "validation_failed")
    problem(api.post("/auth/step-ups", {"factor": "fax"}, token), 422, "validation_failed")


def test_a_prover_that_raises_has_refused_a_guess_which_is_counted_and_recorded(
    app: Flask, api: Api, user: User
) -> None:
    token = a_session(app, user).access_token
    add_machine(app, user)
    challenge = challenge_of(api, user)
    for _ in range(MAX_FAILURES):
        problem(second_step(api, challenge, RAISES, "fax"), 401, "second_factor_invalid")
    problem(second_step(api, challenge, CODE, "fax"), 401, "challenge_invalid")
    problem(api.post("/auth/step-ups", {"code": RAISES}, token), 401, "second_factor_invalid")
    refused = events_of(app, user, EventType.SECOND_FACTOR_REFUSED)
    assert [event.details for event in refused] == [{"factor": "fax"}] * (MAX_FAILURES + 1)


def test_its_codes_are_counted_and_locked_as_those_of_an_app(app: Flask, api: Api, user: User) -> None:
    add_machine(app, user)
    for _ in range(10):
        problem(second_step(api, challenge_of(api, user), "fax-0000", "fax"), 401, "second_factor_invalid")
    problem(second_step(api, challenge_of(api, user), CODE, "fax"), 429, "too_many_requests")


def test_a_step_up_takes_its_codes(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    add_machine(app, user)
    problem(api.post("/auth/step-ups", {"code": "287082"}, token), 401, "second_factor_invalid")
    assert api.post("/auth/step-ups", {"code": CODE}, token).status_code == 200


@pytest.fixture
def without_form(app: Flask) -> Iterator[None]:
    """Have the codes of fax machines any form."""
    del app  # it is there first
    factor_kinds.unregister("fax")
    factor_kinds.register("fax", replace(FAX, second_step=replace(FAX_STEP, codes=CodeRules())))
    yield
    factor_kinds.unregister("fax")
    factor_kinds.register("fax", FAX)


@pytest.mark.usefixtures("without_form")
def test_a_code_of_no_form_hides_no_code_that_has_one(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    add_machine(app, user)
    with app.app_context(), transaction():
        (code, *_) = recovery_codes.replace_all(user.id)
    pair = api.post("/auth/step-ups", {"code": code}, token)
    assert pair.status_code == 200, pair.text
    assert api.post("/auth/step-ups", {"code": CODE}, pair.get_json()["access_token"]).status_code == 200


def test_a_step_up_may_name_the_kind_of_its_code(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    add_machine(app, user)
    problem(api.post("/auth/step-ups", {"code": CODE, "factor": "totp"}, token), 401, "second_factor_invalid")
    problem(api.post("/auth/step-ups", {"code": CODE, "factor": "telex"}, token), 422, "validation_failed")
    problem(api.post("/auth/step-ups", {"password": PASSWORD, "factor": "fax"}, token), 422, "validation_failed")
    assert api.post("/auth/step-ups", {"code": CODE, "factor": "fax"}, token).status_code == 200


def test_it_is_listed_among_the_factors(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    assert api.get("/users/me/factors", token).get_json()["fax_machines"] == {"number": 0}
    add_machine(app, user)
    listed = api.get("/users/me/factors", token).get_json()
    assert listed == {
        "password": True,
        "totp": None,
        "passkeys": [],
        "recovery_codes": {"remaining": 0},
        "providers": [],
        "fax_machines": {"number": 1},
    }


def test_it_is_in_the_contract(api: Api) -> None:
    document = api.client.get("/openapi.json").get_json()
    schema = document["components"]["schemas"]["SecondFactor"]
    assert schema["properties"]["factor"]["enum"] == ["totp", "passkey", "recovery_code", "fax"]
    listed = document["components"]["schemas"]["Factors"]
    assert listed["properties"]["fax_machines"] == NUMBER
    assert "fax_machines" in listed["required"]
    # All others are the schema of this package.
    assert listed["additionalProperties"] is False
    assert set(listed["properties"]) == {"password", "totp", "passkeys", "recovery_codes", "providers", "fax_machines"}


def test_a_reset_deletes_it(app: Flask, api: Api, user: User) -> None:
    add_machine(app, user)
    with app.app_context():
        Services.of(app).factors.resets.reset(user.id, OPERATOR)
    assert api.log_in(user.username).status_code == 200


def test_an_undo_deletes_what_was_added_since(app: Flask, user: User) -> None:
    add_machine(app, user)
    with app.app_context():
        hooks = Services.of(app).hooks
        for hours, left in ((1, 1), (-1, 0)):
            with transaction():
                since = clock.now() + timedelta(hours=hours)
                hooks.send_within(credentials_voiding, context=OPERATOR, user_id=user.id, since=since)
            assert factors_of(user.id).states["fax"] == left


def test_it_is_a_way_in_so_that_the_last_passkey_may_go(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    add_passkey(api, token)
    with app.app_context(), transaction() as session:
        session.get_one(User, user.id).password_hash = None
    (passkey,) = api.get("/users/me/passkeys", token).get_json()["items"]
    problem(api("DELETE", f"/users/me/passkeys/{passkey['id']}", token), 409, "last_way_in")
    add_machine(app, user)
    assert api("DELETE", f"/users/me/passkeys/{passkey['id']}", token).status_code == 204


def remove_machine(app: Flask, user: User) -> None:
    with Services.of(app).factors.changes.by_owner(user.id, GUEST) as change:
        delete_machines(user.id, None)
        change.record_removed("fax", GUEST)


def test_its_changes_have_the_guard_of_the_others(app: Flask, api: Api, user: User) -> None:
    before = a_session(app, user).access_token
    with app.app_context():
        changes = Services.of(app).factors.changes
        with changes.by_owner(user.id, GUEST) as change:
            db.session.execute(insert(fax_machines).values(user_id=user.id))
            change.record_added("fax", GUEST)
        problem(api.get("/ping", before), 401, "token_revoked")
        with changes.by_owner(user.id, GUEST) as change:
            change.user.password_hash = None
        with pytest.raises(LastWayIn):
            remove_machine(app, user)
        assert factors_of(user.id).states["fax"] == 1


def test_the_first_one_gives_recovery_codes_and_another_gives_none(app: Flask, api: Api, user: User) -> None:
    given = []
    with app.app_context():
        for _ in range(2):
            with Services.of(app).factors.changes.by_owner(user.id, GUEST) as change:
                db.session.execute(insert(fax_machines).values(user_id=user.id))
                given.append(change.record_added("fax", GUEST))
    first, second = given
    assert (len(first), second) == (recovery_codes.COUNT, [])
    assert second_step(api, challenge_of(api, user), first[0], "recovery_code").status_code == 200


def test_all_kinds_are_read_in_one_statement(app: Flask, user: User) -> None:
    add_machine(app, user)
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        assert factors_of(user.id).ways_in(Services.of(app).settings) == 2
    assert [statement.count("fax_machines.user_id") for statement in statements] == [1]
