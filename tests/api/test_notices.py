"""Mails that tell owners what happened to their accounts, and what is not there without mail."""

from collections.abc import Iterator
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from account_mailbox import AccountMailbox
from authapp import create_app, factor_mail_kinds, hooks
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.services import Services
from authapp.domain.users.administration import Changes
from authapp.models import OutgoingMail, Session, User, UserStatus
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem
from factors import a_session_with_two_factors, an_app
from settings import mail, settings

OF_ACCOUNTS = [
    ("password_changed", hooks.user_changing, {"fields": {"password"}, "previous": {}}),
    *(
        (kind, hooks.factors_changing, {"event": event, "details": details})
        for kind, event, details in [
            ("factor_removed", EventType.FACTOR_REMOVED, {"factor": "all"}),
            ("passkey_counter_reversed", EventType.PASSKEY_COUNTER_REVERSED, {"refused": True}),
            ("recovery_code_used", EventType.RECOVERY_CODE_USED, {"remaining": 3}),
            ("recovery_codes_created", EventType.RECOVERY_CODES_CREATED, {}),
        ]
    ),
]


def test_a_new_password_is_told_whoever_set_it(
    api: Api, token: str, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long sentence"}
    assert api("PUT", "/users/me/password", token, json=body).status_code == 204
    services.administration.set_password(user.id, "yet another sentence", OPERATOR)
    assert mailbox.mails() == [("password_changed", user.email)] * 2


def test_an_event_of_a_factor_of_others_is_told_in_their_mail_or_in_none(
    user: User, mailbox: AccountMailbox, services: Services
) -> None:
    jammed = {"user_id": user.id, "event": "fax.jammed", "details": {"remaining": 2, "paper": "A4"}}
    with transaction():
        services.hooks.send_within(hooks.factors_changing, context=GUEST, **jammed)
    assert mailbox.mails() == []
    factor_mail_kinds.register("fax.jammed", "recovery_code_used")
    try:
        with transaction():
            services.hooks.send_within(hooks.factors_changing, context=GUEST, **jammed)
    finally:
        factor_mail_kinds.unregister("fax.jammed")
    assert mailbox.mails() == [("recovery_code_used", user.email)]
    assert db.session.scalars(select(OutgoingMail.details)).all() == [{"remaining": 2}]


def test_an_event_of_a_factor_cannot_have_a_mail_that_does_not_exist() -> None:
    with pytest.raises(KeyError, match="no kind of mail 'fax_jammed'"):
        factor_mail_kinds.register("fax.jammed", "fax_jammed")
    assert "fax.jammed" not in factor_mail_kinds


@pytest.mark.parametrize(("kind", "signal", "values"), OF_ACCOUNTS)
def test_a_thief_who_then_changes_the_address_does_not_get_the_notice(
    kind: str, signal: NamedSignal, values: dict[str, Any], user: User, mailbox: AccountMailbox, services: Services
) -> None:
    with transaction():
        services.hooks.send_within(signal, context=GUEST, user_id=user.id, **values)
    services.administration.change(user.id, Changes(email="thief@example.com"), OPERATOR)
    stored = db.session.scalars(select(OutgoingMail).where(OutgoingMail.kind == kind)).one()
    recipient = mail_kinds[kind].recipient(stored)
    assert recipient is not None
    assert (recipient.address, recipient.is_verified) == ("ada@example.com", False)


def test_a_notice_is_stored_with_the_change_or_not_at_all(
    app: Flask, user: User, mailbox: AccountMailbox, services: Services
) -> None:
    def fail(_app: object, **_: object) -> None:
        raise ZeroDivisionError

    with hooks.user_changing.connected_to(fail, sender=app), pytest.raises(ZeroDivisionError):
        services.administration.change(user.id, Changes(email="set@example.com"), OPERATOR)
    assert mailbox.mails() == []


def test_other_changes_are_not_told(user: User, mailbox: AccountMailbox, services: Services) -> None:
    services.administration.change(user.id, Changes(username="countess", status=UserStatus.DISABLED), OPERATOR)
    assert mailbox.mails() == []


@pytest.fixture
def telling(databases: Databases, tmp_path: Any) -> Iterator[Flask]:
    """An application that tells users of logins, and sends two mails of a kind an hour to what may be a stranger."""
    with databases.migrated() as url:
        app = create_app(
            settings(database_url=url, **mail(tmp_path, mail_new_login="on", mail_rate_limit=RateLimit(2, 3600)))
        )
        yield app
        dispose(app)


def a_verified_user(app: Flask) -> User:
    """Create a user whose address was verified."""
    user = a_user(app)
    with app.app_context(), transaction() as session:
        session.get_one(User, user.id).set_verified(user.updated_at)
    return user


def test_a_login_is_told_where_that_is_wanted(telling: Flask) -> None:
    user, api = a_verified_user(telling), Api(telling.test_client())
    headers = {"User-Agent": "curl/8.5.0", "Accept-Language": "de"}
    body = {"username": user.username, "password": PASSWORD}
    assert api("POST", "/auth/login", json=body, headers=headers).status_code == 200
    problem(api.log_in(user.username, "a wrong password"), 401, "invalid_credentials")
    with telling.app_context():
        (stored,) = db.session.scalars(select(OutgoingMail).where(OutgoingMail.kind == "new_login"))
        assert (stored.user_id, stored.address, stored.details) == (user.id, user.email, {})
        assert (stored.context["device"], stored.context["locale"]) == ("curl", "de")
        assert len(db.session.scalars(select(Session)).all()) == 1


def test_an_address_that_was_never_verified_gets_few_notices_of_a_kind(telling: Flask) -> None:
    stranger, owner, services = a_user(telling), a_verified_user(telling), Services.of(telling)
    with telling.app_context():
        for user in [stranger, owner] * 4:
            for _, signal, values in OF_ACCOUNTS:
                with transaction():
                    services.hooks.send_within(signal, context=GUEST, user_id=user.id, **values)
        kinds = sorted(kind for kind, _, _ in OF_ACCOUNTS)
        assert sorted(AccountMailbox(telling, stranger).mails()) == sorted(
            [(kind, stranger.email) for kind in kinds] * 2
        )
        assert sorted(AccountMailbox(telling, owner).mails()) == sorted([(kind, owner.email) for kind in kinds] * 4)


def test_no_login_is_told_to_an_address_that_is_not_verified(telling: Flask) -> None:
    user = a_user(telling)
    a_session(telling, user)
    with telling.app_context():
        assert AccountMailbox(telling, user).mails() == []
        assert len(db.session.scalars(select(Session)).all()) == 1


def test_a_session_and_the_mail_about_it_are_stored_together_or_neither(telling: Flask) -> None:
    user = a_verified_user(telling)
    with telling.app_context(), transaction() as session:
        session.execute(text("ALTER TABLE outgoing_mail ADD CHECK (kind <> 'new_login')"))
    with pytest.raises(IntegrityError):
        a_session(telling, user)
    with telling.app_context():
        assert db.session.scalars(select(Session)).all() == []


def test_without_mail_nothing_of_this_is_there(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, mail_url=None))
        user, api = a_user(app), Api(app.test_client())
        token = a_session(app, user).access_token
        administrator = a_user(app, roles=[ADMIN])
        admin = a_session_with_two_factors(app, api, administrator, an_app(app, administrator)).access_token
        wanted = {"email": "countess@example.org", "password": PASSWORD}
        problem(api("PUT", "/users/me/email", token, json=wanted), 404, "not_found")
        boss = api.get("/users/me", admin).get_json()["id"]
        assert api("PATCH", f"/users/{boss}", admin, json={"email": "boss@example.org"}).status_code == 200
        problem(api("PUT", f"/users/{user.id}/password", admin, json={}), 404, "not_found")
        problem(api.post("/auth/login-links", {"email": user.email}), 404, "not_found")
        with app.app_context():
            Services.of(app).administration.set_password(user.id, "another long sentence", OPERATOR)
            assert AccountMailbox(app, user).mails() == []
        dispose(app)
