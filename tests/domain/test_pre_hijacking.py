"""An account that somebody else prepared for the owner of an address (Sudhodanan and Paverd, USENIX Security 2022).

Each of the five classes ends when the owner proves the address by a reset, or takes the account back after a change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import hooks, one_time_tokens
from authapp.domain.mail import outbox
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.administration import Changes
from authapp.errors import EmailTaken, InvalidCredentials, LastAdmin, OneTimeTokenInvalid
from authapp.models import OutgoingMail, User
from authenticator import add_passkey, log_in
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_session, a_token, a_user, an_api_key, problem

NEW = "another good pass phrase"


@pytest.fixture
def hijacked(app: Flask) -> User:
    """An account that a thief has registered with the address of somebody else."""
    with app.app_context():
        names = {"username": "thief", "email": "victim@example.com"}
        return Services.of(app).accounts.register(**names, password=PASSWORD, context=GUEST)


def recover(app: Flask, user: User, token: str | None = None) -> None:
    with app.app_context():
        Services.of(app).email.password_resets.complete(token or a_token(app, user), NEW, GUEST)


@contextmanager
def takeovers(app: Flask) -> Iterator[list[UUID]]:
    taken_over: list[UUID] = []

    def receive(_app: object, *, user_id: UUID, since: object, **_: object) -> None:
        assert db.session().in_transaction()
        assert since is None
        taken_over.append(user_id)

    with hooks.credentials_voiding.connected_to(receive, app):
        yield taken_over


def test_classic_federated_merge_the_password_of_the_thief_is_void(app: Flask, hijacked: User) -> None:
    recover(app, hijacked)
    with pytest.raises(InvalidCredentials):
        a_session(app, hijacked, PASSWORD)
    assert a_session(app, hijacked, NEW)


def test_unexpired_session_the_sessions_of_the_thief_are_over(app: Flask, api: Api, hijacked: User) -> None:
    pair = a_session(app, hijacked)
    recover(app, hijacked)
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", {"refresh_token": pair.refresh_token}), 401, "token_revoked")


def test_trojan_identifier_the_other_credentials_of_the_thief_are_for_receivers_to_remove(
    app: Flask, hijacked: User
) -> None:
    with takeovers(app) as taken_over:
        recover(app, hijacked)
        assert taken_over == [hijacked.id]
        recover(app, hijacked)  # the second reset is by the owner of a verified account
        assert taken_over == [hijacked.id]


def test_trojan_identifier_the_passkeys_of_the_thief_are_gone(app: Flask, api: Api, hijacked: User) -> None:
    authenticator = add_passkey(api, a_session(app, hijacked).access_token)
    recover(app, hijacked)
    problem(log_in(api, authenticator), 401, "passkey_invalid")
    kept = add_passkey(api, a_session(app, hijacked, NEW).access_token)
    recover(app, hijacked)  # the second reset is by the owner of a verified account
    assert log_in(api, kept).status_code == 200


def test_trojan_identifier_no_reset_without_their_removal(app: Flask, hijacked: User) -> None:
    def fail(_app: object, **_: object) -> None:
        raise LastAdmin

    token = a_token(app, hijacked)
    with hooks.credentials_voiding.connected_to(fail, app), pytest.raises(LastAdmin):
        recover(app, hijacked, token)
    assert a_session(app, hijacked, PASSWORD)
    recover(app, hijacked, token)


def test_unexpired_email_change_the_address_that_the_thief_asked_for_gets_nothing(app: Flask, hijacked: User) -> None:
    with app.app_context(), transaction():
        row = db.session.get_one(User, hijacked.id)
        row.pending_email, row.pending_email_until = "thief@example.com", clock.now() + timedelta(hours=24)
        outbox.add("change_email", user_id=row.id, address="thief@example.com", context=GUEST)
    change = a_token(app, hijacked, TokenPurpose.CHANGE_EMAIL, sent_to="thief@example.com")
    recover(app, hijacked)
    with app.app_context():
        with transaction():
            assert one_time_tokens.use(change, TokenPurpose.CHANGE_EMAIL) is None
        # The mail that is still to be sent finds nobody, so that no new token is made for it either.
        mail = db.session.scalars(select(OutgoingMail).where(OutgoingMail.kind == "change_email")).one()
        assert mail_kinds["change_email"].recipient(mail) is None


def test_unverifying_provider_an_account_without_a_password_is_taken_over_as_well(app: Flask) -> None:
    user = a_user(app, password=None)
    with takeovers(app) as taken_over:
        recover(app, user)
    assert taken_over == [user.id]


def test_a_link_that_the_thief_asked_for_before_is_void_after(app: Flask, hijacked: User) -> None:
    old = [a_token(app, hijacked, purpose) for purpose in (TokenPurpose.VERIFY_EMAIL, TokenPurpose.LOGIN)]
    recover(app, hijacked)
    with app.app_context():
        services = Services.of(app)
        for token in old:
            with pytest.raises(OneTimeTokenInvalid):
                services.email.verifications.delete_unverified(token, GUEST)


def test_an_account_of_which_an_address_was_verified_is_nobody_elses(app: Flask) -> None:
    """Its factors stay, or an administrator could remove them by a change of the address and a reset."""
    user = a_user(app)
    with app.app_context():
        services = Services.of(app)
        services.email.verifications.mark(user.id, OPERATOR)
        moved = services.administration.change(user.id, Changes(email="moved@example.com"), OPERATOR)
    with takeovers(app) as taken_over:
        recover(app, moved)
    assert taken_over == []
    with app.app_context():
        assert db.session.get_one(User, user.id, populate_existing=True).email_verified_at is not None


def test_a_click_of_the_owner_takes_nothing_over(app: Flask, hijacked: User) -> None:
    """It verifies the account of whoever registered: hence the password beside it where verification is required."""
    with takeovers(app) as taken_over, app.app_context():
        token = a_token(app, hijacked, TokenPurpose.VERIFY_EMAIL)
        Services.of(app).email.link_confirmations.confirm(token, None, GUEST)
    assert taken_over == []
    assert a_session(app, hijacked, PASSWORD)


def move_away(app: Flask, user: User) -> str:
    """Change the address to that of the thief, who confirms it, and return the undo link of the previous address."""
    services, before = Services.of(app), user.address
    with app.app_context():
        services.email.address_changes.request(user.id, "thief@example.com", PASSWORD, GUEST)
    confirmation = a_token(app, user, TokenPurpose.CHANGE_EMAIL, sent_to="thief@example.com")
    with app.app_context():
        services.email.link_confirmations.confirm(confirmation, PASSWORD, GUEST)
    return a_token(app, user, TokenPurpose.UNDO_EMAIL, sent_to=before)


def test_who_takes_back_an_account_that_they_never_had_gets_it_without_what_the_thief_has_set(
    app: Flask, api: Api, hijacked: User, time: Time
) -> None:
    """The thief verifies an address of their own, so that no later reset takes the account over."""
    authenticator = add_passkey(api, a_session(app, hijacked).access_token)
    key = an_api_key(app, hijacked)
    time.passes(hours=73)
    link = move_away(app, hijacked)
    with app.app_context():
        Services.of(app).email.link_confirmations.confirm(link, None, GUEST)
    recover(app, hijacked)
    problem(log_in(api, authenticator), 401, "passkey_invalid")
    problem(api.get("/users/me", key), 401, "token_invalid")
    assert api.log_in("victim@example.com", NEW).status_code == 200, "and no factor of the thief is asked for"


def test_the_account_that_the_owner_of_the_address_has_made_meanwhile_is_not_deleted(
    app: Flask, hijacked: User
) -> None:
    link = move_away(app, hijacked)
    registered = a_user(app, "victim", email="victim@example.com")
    with app.app_context(), pytest.raises(EmailTaken):
        Services.of(app).email.link_confirmations.confirm(link, None, GUEST)
    recover(app, registered)
    assert a_session(app, registered, NEW)


def test_an_undo_of_a_change_of_a_verified_address_takes_nothing_over(app: Flask, hijacked: User) -> None:
    """What the owner had before the change stays, or a mailbox that they have left would be a way past it."""
    services, seen = Services.of(app), []
    with app.app_context():
        services.email.verifications.mark(hijacked.id, OPERATOR)

    def receive(_app: object, *, since: object, **_: object) -> None:
        seen.append(since)

    link = move_away(app, hijacked)
    with hooks.credentials_voiding.connected_to(receive, app), app.app_context():
        services.email.link_confirmations.confirm(link, None, GUEST)
    assert len(seen) == 1
    assert seen[0] is not None
