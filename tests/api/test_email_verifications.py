"""POST, PUT and DELETE /auth/email-verifications, where verification is optional."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import hooks, one_time_tokens
from authapp.domain.email.link_confirmations import LinkConfirmations
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.administration import Changes
from authapp.models import Session, User, UserStatus
from clocks import Time
from conftest import created
from databases import Databases
from factories import PASSWORD, Api, a_session, a_token, a_user, events_of, mails, problem

PATH = "/auth/email-verifications"


def confirm(api: Api, token: str, **more: Any) -> Any:
    return api("PUT", PATH, json={"token": token, **more})


def reject(api: Api, token: str) -> Any:
    return api("DELETE", PATH, json={"token": token})


def account(app: Flask, user: User) -> User | None:
    with app.app_context():
        return db.session.get(User, user.id, populate_existing=True)


class Recording:
    """A use case that confirms links for a purpose, and only remembers them."""

    def __init__(self, purpose: str) -> None:
        self.purpose, self.confirmed = purpose, []  # type: ignore[var-annotated]

    def confirm(self, *details: object) -> None:
        self.confirmed.append(details)


def link(app: Flask, user: User, **changes: Any) -> str:
    return a_token(app, user, TokenPurpose.VERIFY_EMAIL, **changes)


# --- mails -----------------------------------------------------------------------------------------------------------


def test_a_registration_and_a_creation_send_a_link_in_their_transaction(databases: Databases) -> None:
    for app in created(databases, email_verification="optional"):
        creations_send_a_link(app, Api(app.test_client()))


def creations_send_a_link(app: Flask, api: Api) -> None:
    names = {"username": "ada", "email": "Ada@example.com", "password": PASSWORD}
    assert api.post("/auth/register", names).status_code == 201
    a_user(app, "grace")
    assert mails(app) == [("verify_email", f"{name}@example.com", None) for name in ("Ada", "grace")]

    def fail(_app: object, **_: object) -> None:
        raise ZeroDivisionError

    with hooks.user_creating.connected_to(fail, app), pytest.raises(ZeroDivisionError):
        a_user(app, "hopper")
    assert len(mails(app)) == 2


def test_a_request_stores_one_mail_whoever_has_the_address(app: Flask, api: Api) -> None:
    verified, unverified = a_user(app), a_user(app)
    with app.app_context():
        Services.of(app).email.verifications.mark(verified.id, OPERATOR)
    before = len(mails(app))
    addresses = [verified.email, unverified.email, "nobody@example.com"]
    answers = [api.post(PATH, {"email": address}) for address in addresses]

    assert {(each.status_code, each.data) for each in answers} == {(202, b"{}\n")}
    assert mails(app)[before:] == [("verify_email", address, None) for address in addresses]
    problem(api.post(PATH, {"email": "nobody"}), 422, "validation_failed")


# --- confirming ------------------------------------------------------------------------------------------------------


def test_a_link_verifies_the_address_and_leaves_the_password_and_the_sessions(app: Flask, api: Api) -> None:
    user = a_user(app)
    session = a_session(app, user)
    response = confirm(api, link(app, user))

    assert (response.status_code, response.data) == (204, b"")
    assert api.get("/users/me", session.access_token).get_json()["email_verified_at"].endswith("Z")
    assert api.log_in(user.username).status_code == 200
    (event,) = events_of(app, user, "email.verified")
    assert (event.actor_id, event.session_id, event.details) == (None, None, {})


def test_a_link_is_good_once_and_voids_those_of_its_purpose_alone(app: Flask, api: Api) -> None:
    user = a_user(app)
    first, second, reset = link(app, user), link(app, user), a_token(app, user)
    assert confirm(api, first).status_code == 204
    for token in (first, second):
        problem(confirm(api, token), 400, "one_time_token_invalid")
    body = {"token": reset, "new_password": "another good pass phrase"}
    assert api("PUT", "/auth/password-resets", json=body).status_code == 204


def test_the_password_may_be_sent_where_it_is_not_needed(app: Flask, api: Api) -> None:
    assert confirm(api, link(app, a_user(app)), password="wrong").status_code == 204


def test_a_token_in_the_header_is_no_obstacle_whatever_it_is(app: Flask, api: Api) -> None:
    for token in ("not.a.token", a_session(app, a_user(app)).refresh_token, a_session(app, a_user(app)).access_token):
        sent = {"token": link(app, a_user(app))}
        assert api("PUT", PATH, token, json=sent).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_every_token_that_is_not_good_gets_one_answer(app: Flask, api: Api, time: Time, method: str) -> None:
    user, disabled, moved = a_user(app), a_user(app), a_user(app)
    expired = link(app, user)
    time.passes(timedelta(days=1))
    tokens = {"garbage": "x", "empty": "", "unknown": "A" * 64, "expired": expired}
    tokens |= {purpose: a_token(app, user, purpose) for purpose in set(token_purposes) - ROUTES[method, PATH]}
    tokens |= {"disabled": link(app, disabled), "moved": link(app, moved, sent_to="old@example.com")}
    with app.app_context(), transaction():
        db.session.get_one(User, disabled.id).status = UserStatus.DISABLED
    bodies = set()
    for token in tokens.values():
        body = problem(api(method, PATH, json={"token": token}), 400, "one_time_token_invalid")
        assert body.pop("request_id")
        bodies.add(str(sorted(body.items())))
    assert len(bodies) == 1
    assert account(app, user) is not None
    assert (account(app, moved) or moved).email_verified_at is None


ROUTES = {
    ("PUT", "/auth/password-resets"): {TokenPurpose.RESET_PASSWORD},
    ("PUT", PATH): {TokenPurpose.VERIFY_EMAIL, TokenPurpose.UNDO_FACTORS},
    ("DELETE", PATH): {TokenPurpose.VERIFY_EMAIL},
}
"""The purposes that each route accepts; every other is refused."""


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("purpose", list(token_purposes))
def test_a_token_of_one_purpose_opens_no_route_of_another(
    app: Flask, api: Api, route: tuple[str, str], purpose: str
) -> None:
    user = a_user(app)
    method, path = route
    body = {"token": a_token(app, user, purpose)}
    if path.endswith("resets"):
        body["new_password"] = "another good pass phrase"
    response = api(method, path, json=body)
    if purpose in ROUTES[route]:
        assert response.status_code == 204
    else:
        problem(response, 400, "one_time_token_invalid")
        with app.app_context(), transaction():
            assert one_time_tokens.use(body["token"], purpose) is not None


def test_each_purpose_is_confirmed_by_the_use_case_that_was_added_for_it(app: Flask) -> None:
    user, use_case = a_user(app), Recording(TokenPurpose.UNDO_EMAIL)
    token = a_token(app, user, use_case.purpose)
    with app.app_context():
        LinkConfirmations(use_case).confirm(token, "secret", OPERATOR)
        found = one_time_tokens.find(token, use_case.purpose)
    assert use_case.confirmed == [(found, "secret", OPERATOR)]
    assert found is not None


def test_a_purpose_has_one_use_case_and_is_registered(app: Flask) -> None:
    confirmations = LinkConfirmations(Recording(TokenPurpose.UNDO_EMAIL))
    for purpose in (TokenPurpose.UNDO_EMAIL, TokenPurpose.RESET_PASSWORD, TokenPurpose.LOGIN):
        with pytest.raises(ValueError, match="confirmed by another use case"):
            confirmations.add(Recording(purpose))
    with pytest.raises(KeyError, match="purpose of one-time tokens 'nobody_knows'"):
        confirmations.add(Recording("nobody_knows"))


# --- I did not register ----------------------------------------------------------------------------------------------


def test_an_account_that_its_owner_did_not_register_goes_with_its_sessions(app: Flask, api: Api) -> None:
    user = a_user(app)
    session = a_session(app, user)
    assert reject(api, link(app, user)).status_code == 204

    assert account(app, user) is None
    problem(api.get("/ping", session.access_token), 401, "token_invalid")
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Session.user_id == user.id)) == 0
    (event,) = events_of(app, user, "user.deleted")
    assert event.details == {"username": user.username}
    assert a_user(app, "again", email=user.email).email == user.email


def test_a_deletion_is_reported_to_receivers(app: Flask, api: Api) -> None:
    user, sent = a_user(app), []

    def record(_app: object, **details: Any) -> None:
        sent.append((details["user_id"], details["username"]))

    with hooks.user_deleted.connected_to(record, app):
        assert reject(api, link(app, user)).status_code == 204
    assert sent == [(user.id, user.username)]


def test_an_account_that_was_verified_does_not_go(app: Flask, api: Api) -> None:
    user = a_user(app)
    first = link(app, user)
    with app.app_context():
        Services.of(app).email.verifications.mark(user.id, OPERATOR)
    problem(reject(api, first), 400, "one_time_token_invalid")
    assert account(app, user) is not None


def test_an_account_whose_address_was_changed_by_mistake_does_not_go(app: Flask, api: Api) -> None:
    """Its owner verified the address before. Whoever reads the mail of the new one did not register, indeed."""
    user = a_user(app)
    with app.app_context():
        services = Services.of(app)
        services.email.verifications.mark(user.id, OPERATOR)
        moved = services.administration.change(user.id, Changes(email="typing-error@example.com"), OPERATOR)
        assert moved.email_verified_at is None
    problem(reject(api, link(app, moved)), 400, "one_time_token_invalid")
    assert account(app, user) is not None


def test_an_account_with_a_role_does_not_go(app: Flask, api: Api) -> None:
    user = a_user(app, roles=["admin"])
    a_user(app, roles=["admin"])
    token = link(app, user)
    problem(reject(api, token), 400, "one_time_token_invalid")
    assert confirm(api, token).status_code == 204
