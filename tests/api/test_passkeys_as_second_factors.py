"""Passkeys in the login of two steps, and beside it."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.domain.factors.pending_logins import MAX_FAILURES
from authapp.domain.services import Services
from authapp.models import AuditEvent, OutgoingMail, RecoveryCode, User
from authapp.security import base64url
from authapp.security.passkey_framing import PublicKeyCredentialJSON
from authenticator import RP_ID, UP, Authenticator, add_passkey
from cbor_bombs import BOMBS, data_with, unparsed
from clocks import Time
from domain.concurrently import at_once
from factories import GUEST, Api, a_session, a_user, problem
from factors import an_app, challenge_of, second_step


@pytest.fixture
def key(app: Flask, api: Api, user: User) -> Authenticator:
    return add_passkey(api, a_session(app, user).access_token)


def options_for(api: Api, challenge: str) -> dict[str, Any]:
    response = api.post("/auth/second-factors", {"challenge": challenge, "factor": "passkey"})
    assert response.status_code == 200, response.text
    options: dict[str, Any] = response.get_json()
    return options


def answer(api: Api, challenge: str, credential: PublicKeyCredentialJSON) -> Any:
    return api.post("/auth/second-factors", {"challenge": challenge, "factor": "passkey", "credential": credential})


def test_a_password_and_a_passkey_are_two_factors(api: Api, user: User, key: Authenticator) -> None:
    body = problem(api.log_in(user.username), 401, "second_factor_required")
    assert body["factors"] == ["passkey", "recovery_code"]
    options = options_for(api, body["challenge"])
    assert [each["id"] for each in options["allowCredentials"]] != []
    pair = answer(api, body["challenge"], key.get(options)).get_json()
    sessions = api.get("/users/me/sessions", pair["access_token"]).get_json()["items"]
    assert [each["amr"] for each in sessions if each["current"]] == [["pwd", "hwk", "user", "mfa"]]


def test_beside_a_password_the_user_need_not_be_verified(api: Api, user: User, key: Authenticator) -> None:
    challenge = challenge_of(api, user)
    key.flags = UP
    pair = answer(api, challenge, key.get(options_for(api, challenge))).get_json()
    sessions = api.get("/users/me/sessions", pair["access_token"]).get_json()["items"]
    assert [each["amr"] for each in sessions if each["current"]] == [["pwd", "hwk", "mfa"]]


def test_a_passkey_alone_needs_no_second_step(api: Api, key: Authenticator) -> None:
    options = api.post("/auth/passkey-challenges", {}).get_json()
    body = {"challenge_id": options["challenge_id"], "credential": key.get(options)}
    assert api.post("/auth/passkey-logins", body).status_code == 200


def test_a_passkey_challenge_is_for_one_login(api: Api, user: User, key: Authenticator) -> None:
    challenge, other = challenge_of(api, user), challenge_of(api, user)
    problem(answer(api, other, key.get(options_for(api, challenge))), 401, "second_factor_invalid")
    guests = api.post("/auth/passkey-challenges", {}).get_json()
    problem(answer(api, challenge, key.get(guests)), 401, "second_factor_invalid")
    assert answer(api, challenge, key.get(options_for(api, challenge))).status_code == 200
    problem(answer(api, challenge, key.get(guests)), 401, "challenge_invalid")


@pytest.mark.parametrize("bomb", BOMBS)
def test_cbor_that_an_authenticator_does_not_write_is_not_parsed(
    api: Api, user: User, key: Authenticator, bomb: bytes
) -> None:
    challenge = challenge_of(api, user)
    options = options_for(api, challenge)
    with unparsed():
        credential = key.get(options, authenticatorData=base64url.encode(data_with(bomb, RP_ID)))
        problem(answer(api, challenge, credential), 401, "second_factor_invalid")


def test_the_passkey_of_somebody_else_is_refused(app: Flask, api: Api, user: User, key: Authenticator) -> None:
    del key
    thief = add_passkey(api, a_session(app, a_user(app)).access_token)
    challenge = challenge_of(api, user)
    problem(answer(api, challenge, thief.get(options_for(api, challenge))), 401, "second_factor_invalid")


def test_step_6_the_handle_of_another_user_is_refused(app: Flask, api: Api, user: User, key: Authenticator) -> None:
    """WebAuthn Level 3, section 7.2, where the user is known beforehand: the key is the owner's, its handle is not."""
    others, owners = base64url.encode(a_user(app).id.bytes), base64url.encode(key.user_handle)
    challenge = challenge_of(api, user)
    options = options_for(api, challenge)
    problem(answer(api, challenge, key.get(options, userHandle=others)), 401, "second_factor_invalid")
    assert answer(api, challenge, key.get(options, userHandle=owners)).status_code == 200


def test_wrong_passkeys_are_not_counted_and_locked_codes_do_not_block_them(
    app: Flask, api: Api, user: User, key: Authenticator, time: Time
) -> None:
    phone = an_app(app, user)
    challenge = challenge_of(api, user)
    wrong = Authenticator(user_handle=key.user_handle, credential_id=key.credential_id)
    for _ in range(MAX_FAILURES + 1):
        problem(answer(api, challenge, wrong.get(options_for(api, challenge))), 401, "second_factor_invalid")
    for _ in range(2):
        for _ in range(MAX_FAILURES):
            second_step(api, challenge_of(api, user), phone.wrong_code())
    challenge = challenge_of(api, user)
    problem(second_step(api, challenge, phone.code()), 429, "too_many_requests")
    assert answer(api, challenge, key.get(options_for(api, challenge))).status_code == 200
    time.passes(seconds=1)


@pytest.mark.committed
def test_of_twenty_who_send_one_answer_at_once_one_logs_in(app: Flask, api: Api, user: User) -> None:
    key = add_passkey(api, a_session(app, user).access_token)
    challenge = challenge_of(api, user)
    credential = key.get(options_for(api, challenge))
    second_factors = Services.of(app).factors.second_factors
    outcomes = at_once(app, *[lambda: second_factors.log_in(challenge, "passkey", credential, GUEST)] * 20)
    assert len([each for each in outcomes if not isinstance(each, type)]) == 1


def test_recovery_codes_come_with_the_first_factor_and_go_with_the_last(app: Flask, api: Api, user: User) -> None:
    token = a_session(app, user).access_token
    first, second = added(api, token), added(api, token)
    assert len(first["recovery_codes"]) == 10
    assert "recovery_codes" not in second
    for passkey in (first, second):
        assert api("DELETE", f"/users/me/passkeys/{passkey['id']}", token).status_code == 204
    with app.app_context():
        assert db.session.scalars(select(RecoveryCode)).all() == []
    assert api.log_in(user.username).status_code == 200


def added(api: Api, token: str) -> dict[str, Any]:
    options = api.post("/users/me/passkeys/challenges", {}, token).get_json()
    body = {"challenge_id": options["challenge_id"], "name": "A key", "credential": Authenticator().create(options)}
    response = api.post("/users/me/passkeys", body, token)
    assert response.status_code == 201, response.text
    passkey: dict[str, Any] = response.get_json()
    return passkey


def test_a_reset_removes_passkeys_and_each_change_is_mailed_to_the_owner(
    app: Flask, api: Api, user: User, key: Authenticator
) -> None:
    with app.app_context():
        Services.of(app).factors.resets.reset(user.id, OPERATOR)
        mails = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)).all()
        sent = [(mail.kind, mail.details) for mail in mails if mail.user_id == user.id]
    assert sent == [("factor_added", {"factor": "passkey"}), ("factor_removed", {"factor": "all"})]
    options = api.post("/auth/passkey-challenges", {}).get_json()
    body = {"challenge_id": options["challenge_id"], "credential": key.get(options)}
    problem(api.post("/auth/passkey-logins", body), 401, "passkey_invalid")
    assert api.log_in(user.username).status_code == 200


def test_a_counter_that_goes_back_is_mailed_to_the_owner(app: Flask, api: Api, user: User, key: Authenticator) -> None:
    for sign_count in (10, 3):
        options = api.post("/auth/passkey-challenges", {}).get_json()
        key.sign_count = sign_count
        api.post("/auth/passkey-logins", {"challenge_id": options["challenge_id"], "credential": key.get(options)})
    with app.app_context():
        mails = db.session.scalars(select(OutgoingMail).where(OutgoingMail.kind == "passkey_counter_reversed")).all()
        assert [mail.user_id for mail in mails] == [user.id]
        events = select(AuditEvent).where(AuditEvent.type == EventType.PASSKEY_COUNTER_REVERSED)
        assert [event.subject_id for event in db.session.scalars(events)] == [user.id]
