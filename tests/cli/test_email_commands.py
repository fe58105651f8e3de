"""``flask users verify-email`` and ``send-reset``."""

import pytest
from flask import Flask

from authapp.context import OPERATOR
from authapp.domain.services import Services
from cli.invoking import data, flask_users, refused, succeeded
from conftest import reconfigured
from factories import a_user, events_of, mails


@pytest.mark.parametrize("name", ["grace", "GRACE@example.com"])
def test_an_address_is_verified_without_a_link(app: Flask, name: str) -> None:
    user = a_user(app, "grace")
    assert data(flask_users(app, "show", "grace", "--json"))["email_verified_at"] is None

    said = succeeded(flask_users(app, "verify-email", name))

    assert said == "Verified grace@example.com, the address of grace.\n"
    assert data(flask_users(app, "show", "grace", "--json"))["email_verified_at"].endswith("Z")
    (event,) = events_of(app, user, "email.verified")
    assert (event.actor_id, event.user_agent) == (None, "flask CLI")


def test_an_address_that_is_verified_stays_so_without_an_event(app: Flask) -> None:
    user = a_user(app, "grace")
    for _ in range(2):
        succeeded(flask_users(app, "verify-email", "grace"))
    assert len(events_of(app, user, "email.verified")) == 1


def test_a_link_to_reset_the_password_is_sent(app: Flask) -> None:
    user = a_user(app, "grace")
    before = len(mails(app))
    assert "grace@example.com" in succeeded(flask_users(app, "send-reset", "grace"))
    assert mails(app)[before:] == [("reset_password", "grace@example.com", user.id)]


def test_a_disabled_account_is_sent_no_link(app: Flask) -> None:
    a_user(app, "grace")
    before = mails(app)
    with app.app_context():
        Services.of(app).administration.disable("grace", OPERATOR)
    refused(flask_users(app, "send-reset", "grace"), "grace is disabled")
    assert mails(app) == before


def test_without_mail_no_link_is_promised(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, mail_url=None)
    a_user(app, "grace")
    refused(flask_users(app, "send-reset", "grace"), "AUTHAPP_MAIL_URL")


@pytest.mark.parametrize("command", ["verify-email", "send-reset"])
def test_a_name_that_nobody_has_is_refused(app: Flask, command: str) -> None:
    refused(flask_users(app, command, "nobody"), "There is no user 'nobody'")
