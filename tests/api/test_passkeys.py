"""Passkeys: adding, listing, renaming and deleting one's own, and logging in with one."""

from importlib import import_module
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import update
from test_step_ups import claims

from authapp import clock
from authapp.database.session import transaction
from authapp.domain.audit import EventType
from authapp.models import ProviderIdentity, User, UserStatus
from authapp.security import base64url
from authenticator import (
    BE,
    BS,
    EDDSA,
    ES256,
    RS256,
    UP,
    UV,
    Authenticator,
    add_passkey,
    creation_options,
    log_in,
    request_options,
    send_login,
    send_registration,
)
from clocks import Time
from conftest import reconfigured
from factories import PASSWORD, Api, a_session, a_user, events_of, problem
from factors import challenge_of, second_step


def change(app: Flask, user: User, **values: Any) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(User).where(User.id == user.id).values(values))


def passkeys(api: Api, token: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/users/me/passkeys", token).get_json()["items"]
    return items


def test_a_challenge_for_a_passkey_names_the_account_and_what_is_asked_of_the_authenticator(
    api: Api, user: User, token: str
) -> None:
    options = creation_options(api, token)
    assert options["challenge"] == options["challenge_id"]
    assert options["rp"] == {"id": "example.com", "name": "example.com"}
    assert options["user"] == {"id": base64url.encode(user.id.bytes), "name": "ada", "displayName": "ada"}
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [EDDSA, ES256, RS256]
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert (options["attestation"], options["timeout"], options["excludeCredentials"]) == ("none", 300_000, [])


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_user_logs_in_with_a_passkey_alone(app: Flask, api: Api, user: User, token: str, algorithm: int) -> None:
    authenticator = add_passkey(api, token, Authenticator(algorithm))
    response = log_in(api, authenticator)
    assert response.status_code == 200, response.get_json()
    found = claims(response.get_json()["access_token"])
    assert (found["sub"], found["amr"]) == (str(user.id), ["hwk", "user", "mfa"])
    assert api.get("/ping", response.get_json()["access_token"]).status_code == 200
    assert [event.type for event in events_of(app, user)][-1] == "session.started"


def test_a_synced_passkey_is_a_software_key_and_its_counter_may_stay_at_zero(api: Api, token: str) -> None:
    authenticator = add_passkey(api, token, Authenticator(flags=UP | UV | BE | BS, step=0))
    for _ in range(2):
        found = claims(log_in(api, authenticator).get_json()["access_token"])
        assert found["amr"] == ["swk", "user", "mfa"]
    assert passkeys(api, token)[0]["backed_up"] is True
    authenticator.flags = UP | UV | BE
    assert log_in(api, authenticator).status_code == 200
    assert passkeys(api, token)[0]["backed_up"] is False


def test_a_guest_is_told_nothing_about_accounts(api: Api, token: str) -> None:
    add_passkey(api, token)
    options = request_options(api)
    assert options["challenge"] == options["challenge_id"]
    assert options.keys() == {"challenge_id", "challenge", "timeout", "rpId", "allowCredentials", "userVerification"}
    assert (options["rpId"], options["allowCredentials"]) == ("example.com", [])
    assert options["userVerification"] == "required"


def test_a_user_lists_renames_and_deletes_passkeys(app: Flask, api: Api, user: User, token: str, time: Time) -> None:
    phone = add_passkey(api, token, Authenticator(flags=UP | UV | BE | BS))
    time.passes(seconds=10)
    add_passkey(api, token)
    time.passes(seconds=10)
    log_in(api, phone)
    first, second = passkeys(api, token)
    assert first["credential_id"] == base64url.encode(phone.credential_id)
    assert first["transports"] == ["internal", "hybrid"]
    assert first["aaguid"] == "00000000-0000-0000-0000-000000000000"
    assert first["last_used_at"] > second["created_at"] > first["created_at"]
    assert second["last_used_at"] is None
    assert (first["backed_up"], second["backed_up"]) == (True, False)
    renamed = api("PATCH", f"/users/me/passkeys/{second['id']}", token, json={"name": "Key ring"})
    assert (renamed.status_code, renamed.get_json()["name"]) == (200, "Key ring")
    assert api("DELETE", f"/users/me/passkeys/{first['id']}", token).status_code == 204
    assert [each["name"] for each in passkeys(api, token)] == ["Key ring"]
    problem(log_in(api, phone), 401, "passkey_invalid")
    added, _, removed = events_of(app, user, "factor.added", "factor.removed")
    expected = {"factor": "passkey", "passkey_id": first["id"], "name": "A key"}
    assert expected.items() <= added.details.items()
    assert expected.items() <= removed.details.items()


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines", "evil\u202emoc", "\x85", 5, None])
def test_a_name_is_one_short_line(api: Api, token: str, name: object) -> None:
    add_passkey(api, token)
    path = f"/users/me/passkeys/{passkeys(api, token)[0]['id']}"
    problem(api("PATCH", path, token, json={"name": name}), 422, "validation_failed")


def test_passkeys_of_others_are_not_there(app: Flask, api: Api, token: str) -> None:
    add_passkey(api, token)
    other = a_session(app, a_user(app)).access_token
    for id_ in (passkeys(api, token)[0]["id"], str(uuid4())):
        problem(api("PATCH", f"/users/me/passkeys/{id_}", other, json={"name": "mine"}), 404, "not_found")
        problem(api("DELETE", f"/users/me/passkeys/{id_}", other), 404, "not_found")
    assert passkeys(api, other) == []
    assert passkeys(api, token)[0]["name"] == "A key"


def test_another_passkey_excludes_the_authenticators_that_have_one(api: Api, token: str) -> None:
    authenticator = add_passkey(api, token)
    excluded = creation_options(api, token)["excludeCredentials"]
    expected = {"id": base64url.encode(authenticator.credential_id), "type": "public-key"}
    assert excluded == [{**expected, "transports": ["internal", "hybrid"]}]


def test_an_account_has_at_most_twenty_passkeys(api: Api, token: str) -> None:
    options = creation_options(api, token)
    for _ in range(20):
        add_passkey(api, token)
    problem(api.post("/users/me/passkeys/challenges", {}, token), 409, "too_many_passkeys")
    credential = Authenticator().create(options)
    problem(send_registration(api, token, options, credential), 409, "too_many_passkeys")
    assert len(passkeys(api, token)) == 20


@pytest.mark.parametrize(("query", "others"), [("", 401), ("?sessions=keep", 200)])
def test_adding_and_deleting_a_passkey_ends_the_other_sessions_unless_they_are_kept(
    app: Flask, api: Api, user: User, token: str, query: str, others: int
) -> None:
    before = a_session(app, user).access_token
    options = creation_options(api, token)
    credential = Authenticator().create(options)
    body = {"challenge_id": options["challenge_id"], "name": "A key", "credential": credential}
    response = api.post(f"/users/me/passkeys{query}", body, token)
    assert response.status_code == 201
    assert api.get("/ping", before).status_code == others
    assert api.get("/ping", token).status_code == 200
    codes = response.get_json()["recovery_codes"]
    add_passkey(api, token)  # so that the one that goes is not the last
    before = second_step(api, challenge_of(api, user), codes[0], "recovery_code").get_json()["access_token"]
    assert api("DELETE", f"/users/me/passkeys/{passkeys(api, token)[0]['id']}{query}", token).status_code == 204
    assert api.get("/ping", before).status_code == others
    assert api.get("/ping", token).status_code == 200


def test_a_new_passkey_counts_for_the_session_that_added_it(api: Api, token: str) -> None:
    add_passkey(api, token)
    sessions = api.get("/users/me/sessions", token).get_json()["items"]
    assert [session["amr"] for session in sessions if session["current"]] == [["pwd", "hwk", "user", "mfa"]]


def test_the_last_way_in_stays(app: Flask, api: Api) -> None:
    user = a_user(app)
    token = a_session(app, user).access_token
    add_passkey(api, token)
    add_passkey(api, token)
    change(app, user, password_hash=None)
    first, second = (each["id"] for each in passkeys(api, token))
    assert api("DELETE", f"/users/me/passkeys/{first}", token).status_code == 204
    problem(api("DELETE", f"/users/me/passkeys/{second}", token), 409, "last_way_in")
    assert len(passkeys(api, token)) == 1


def test_a_provider_that_is_no_longer_configured_is_no_way_in(app: Flask, api: Api, user: User, token: str) -> None:
    add_passkey(api, token)
    linked = {"user_id": user.id, "subject": "1", "linked_at": clock.now()}
    with app.app_context(), transaction() as session:
        session.add(ProviderIdentity(**linked, provider="gone", issuer="https://gone.example"))
        session.get_one(User, user.id).password_hash = None
    (passkey,) = api.get("/users/me/passkeys", token).get_json()["items"]
    problem(api("DELETE", f"/users/me/passkeys/{passkey['id']}", token), 409, "last_way_in")
    with app.app_context(), transaction() as session:
        session.add(ProviderIdentity(**linked, provider="example", issuer="https://op.invalid"))
    assert api("DELETE", f"/users/me/passkeys/{passkey['id']}", token).status_code == 204


def test_without_origins_a_passkey_is_no_way_in(
    app: Flask, api: Api, user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_passkey(api, token)
    with app.app_context(), transaction() as session:
        linked = {"user_id": user.id, "subject": "1", "linked_at": clock.now()}
        session.add(ProviderIdentity(**linked, provider="example", issuer="https://op.invalid"))
        session.get_one(User, user.id).password_hash = None
    reconfigured(app, monkeypatch, origins=None, rp_id=None)
    problem(api("DELETE", "/users/me/providers/example", token), 409, "last_way_in")
    reconfigured(app, monkeypatch)
    assert api("DELETE", "/users/me/providers/example", token).status_code == 204


def test_who_has_a_password_may_delete_the_last_passkey(api: Api, token: str) -> None:
    add_passkey(api, token)
    assert api("DELETE", f"/users/me/passkeys/{passkeys(api, token)[0]['id']}", token).status_code == 204


def test_a_disabled_account_and_an_unknown_passkey_get_the_same_answer_for_the_same_work(
    app: Flask, api: Api, user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = add_passkey(api, token)
    # The signature, and no call around it: with a key that cannot be read, the work would end before.
    library = import_module("webauthn.authentication.verify_authentication_response")
    checks = Mock(wraps=library.verify_signature)
    monkeypatch.setattr(library, "verify_signature", checks)
    stranger = Authenticator(user_handle=authenticator.user_handle)
    nobody = Authenticator(user_handle=uuid4().bytes)
    change(app, user, status=UserStatus.DISABLED)
    answers = [log_in(api, each) for each in (authenticator, stranger, nobody)]
    for answer in answers:
        problem(answer, 401, "passkey_invalid")
    bodies = [{**answer.get_json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert checks.call_count == len(answers)


def test_a_refused_login_is_recorded(app: Flask, api: Api, user: User, token: str) -> None:
    authenticator = add_passkey(api, token)
    options = request_options(api)
    credential = authenticator.get(options)
    assert send_login(api, options, credential).status_code == 200
    problem(send_login(api, options, credential), 401, "passkey_invalid")
    (refused,) = events_of(app, user, "login.refused")
    assert refused.details == {"factor": "passkey"}


def test_a_step_up_takes_a_passkey_of_the_user_once_and_records_a_replay(
    api: Api, app: Flask, user: User, token: str, time: Time
) -> None:
    authenticator = add_passkey(api, token)
    time.passes(minutes=10)
    options = request_options(api)
    body = {"challenge_id": options["challenge_id"], "credential": authenticator.get(options)}
    response = api.post("/auth/step-ups", body, token)
    assert response.status_code == 200, response.get_json()
    found = claims(response.get_json()["access_token"])
    assert found["amr"] == ["pwd", "hwk", "user", "mfa"]
    new_token = response.get_json()["access_token"]
    assert api.post("/users/me/passkeys/challenges", {}, new_token).status_code == 201
    problem(api.post("/auth/step-ups", body, new_token), 401, "passkey_invalid")
    (replay,) = events_of(app, user, EventType.SECOND_FACTOR_REFUSED)
    assert replay.details == {"factor": "passkey"}


def test_a_step_up_takes_no_passkey_of_another_user(api: Api, app: Flask, user: User, token: str) -> None:
    other = a_user(app)
    authenticator = add_passkey(api, a_session(app, other).access_token)
    for handle in (authenticator.user_handle, user.id.bytes, None):
        options = request_options(api)
        sent = handle and base64url.encode(handle)
        body = {"challenge_id": options["challenge_id"], "credential": authenticator.get(options, userHandle=sent)}
        problem(api.post("/auth/step-ups", body, token), 401, "passkey_invalid")
    refused = events_of(app, user, EventType.SECOND_FACTOR_REFUSED)
    assert [event.details for event in refused] == [{"factor": "passkey"}] * 3


def test_step_6_a_step_up_takes_no_handle_of_another_user(api: Api, app: Flask, token: str) -> None:
    """WebAuthn Level 3, section 7.2, where the user is known beforehand: the key is the owner's, its handle is not."""
    authenticator, other = add_passkey(api, token), a_user(app)
    for handle, status in ((other.id.bytes, 401), (authenticator.user_handle, 200)):
        options = request_options(api)
        credential = authenticator.get(options, userHandle=base64url.encode(handle))
        body = {"challenge_id": options["challenge_id"], "credential": credential}
        assert api.post("/auth/step-ups", body, token).status_code == status


@pytest.mark.parametrize(
    "fields", [set(), {"challenge_id"}, {"credential"}, {"password", "challenge_id", "credential"}]
)
def test_a_step_up_takes_one_method(api: Api, token: str, fields: set[str]) -> None:
    options = request_options(api)
    whole = {
        "password": PASSWORD,
        "challenge_id": options["challenge_id"],
        "credential": Authenticator().get(options, userHandle=None),
    }
    body = {name: value for name, value in whole.items() if name in fields}
    problem(api.post("/auth/step-ups", body, token), 422, "validation_failed")


@pytest.mark.parametrize("proof", [(), ("credential",), ("credential", "challenge_id")])
def test_a_step_up_says_how_a_passkey_is_sent(api: Api, token: str, proof: tuple[str, ...]) -> None:
    options = request_options(api)
    assert options["challenge_id"] == options["challenge"]
    given = {"challenge_id": options["challenge_id"], "credential": Authenticator().get(options, userHandle=None)}
    body = {"factor": "passkey", **{name: given[name] for name in proof}}
    refused = problem(api.post("/auth/step-ups", body, token), 422, "validation_failed")
    detail = "For a passkey send credential and challenge_id, without factor."
    assert refused["errors"] == [{"pointer": "#/factor", "detail": detail}]


def test_adding_and_deleting_needs_a_recent_login_and_using_does_not(api: Api, token: str, time: Time) -> None:
    options = creation_options(api, token)
    credential = Authenticator().create(options)
    authenticator = add_passkey(api, token)
    time.passes(minutes=6)
    problem(api.post("/users/me/passkeys/challenges", {}, token), 401, "step_up_required")
    problem(send_registration(api, token, options, credential), 401, "step_up_required")
    (passkey,) = passkeys(api, token)
    problem(api("DELETE", f"/users/me/passkeys/{passkey['id']}", token), 401, "step_up_required")
    assert log_in(api, authenticator).status_code == 200


def test_pages_of_other_domains_are_listed_where_browsers_look(api: Api) -> None:
    response = api.client.get("/.well-known/webauthn")
    assert response.get_json() == {"origins": ["https://example.co.uk"]}
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_without_origins_no_passkey_is_accepted(
    app: Flask, api: Api, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = add_passkey(api, token)
    options = request_options(api)
    reconfigured(app, monkeypatch, origins=None, rp_id=None)
    problem(send_login(api, options, authenticator.get(options)), 401, "passkey_invalid")
