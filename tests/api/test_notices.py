"""Mails that tell owners what happened to their accounts, and what is not there without mail."""

from typing import Any

import pytest
from flask import Flask

from account_mails import AccountMails
from authapp import create_app, hooks
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.domain.users.administration import Changes
from authapp.models import User, UserStatus
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from factories import PASSWORD, Api, a_session, a_user, problem
from factors import a_session_with_two_factors, an_app
from settings import mail, settings


def test_a_new_password_is_told_whoever_set_it(
    api: Api, token: str, user: User, mailbox: AccountMails, services: Services
) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long sentence"}
    assert api("PUT", "/users/me/password", token, json=body).status_code == 204
    services.administration.set_password(user.id, "yet another sentence", OPERATOR)
    assert mailbox.mails() == [("password_changed", None)] * 2


def test_a_notice_is_stored_with_the_change_or_not_at_all(
    app: Flask, user: User, mailbox: AccountMails, services: Services
) -> None:
    def fail(_app: object, **_: object) -> None:
        raise ZeroDivisionError

    with hooks.user_changing.connected_to(fail, sender=app), pytest.raises(ZeroDivisionError):
        services.administration.change(user.id, Changes(email="set@example.com"), OPERATOR)
    assert mailbox.mails() == []


def test_other_changes_are_not_told(user: User, mailbox: AccountMails, services: Services) -> None:
    services.administration.change(user.id, Changes(username="countess", status=UserStatus.DISABLED), OPERATOR)
    assert mailbox.mails() == []


def test_a_login_is_told_where_that_is_wanted_and_stands_if_that_fails(
    databases: Databases, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, **mail(tmp_path, mail_new_login="on")))
        user, api = a_user(app), Api(app.test_client())
        assert api.log_in(user.username).status_code == 200
        with app.app_context():
            assert AccountMails(app, user).mails() == [("new_login", None)]

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(Services.of(app).email.notices._outbox, "add", fail)
        assert api.log_in(user.username).status_code == 200
        dispose(app)


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
            assert AccountMails(app, user).mails() == []
        dispose(app)
