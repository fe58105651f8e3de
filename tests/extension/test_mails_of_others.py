"""Mails of somebody's package: a kind, a purpose, templates and what the link does, with the public names alone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from authapp import (
    AuthApp,
    FoundToken,
    MailKind,
    PurposeRule,
    RequestContext,
    create_app,
    mail_kinds,
    recipients,
    testing,
    token_purposes,
    transaction,
    use_token,
)
from authapp.domain.mail import outbox
from authapp.errors import RoleTaken
from conftest import dispose
from databases import Databases

KIND = PURPOSE = "accept_invitation"
PATH = "/api/v1/auth/email-verifications"
TEXT = "Subject: {{ details.team }} invites you\n\n{{ link }}\n"
HTML = '{% extends "base.html" %}{% block content %}<a href="{{ link }}">Join {{ details.team }}</a>{% endblock %}'


class Invitations:
    """Accepts an invitation with the link in its mail."""

    purpose = PURPOSE

    refusals = (RoleTaken,)

    def __init__(self) -> None:
        self.accepted: list[UUID] = []

    def confirm(self, found: FoundToken, _password: str | None, _context: RequestContext) -> None:
        with transaction():
            user = use_token(found)
            self.accepted.append(user.id)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / f"{KIND}.txt").write_text(TEXT)
    (folder / f"{KIND}.html").write_text(HTML)
    return folder


@pytest.fixture
def theirs(templates: Path) -> Iterator[Path]:
    """What their module registers when it is imported."""
    token_purposes.register(PURPOSE, PurposeRule(timedelta(days=7)))
    kind = MailKind(recipients.owner, PURPOSE, examples=[{"team": "Engines"}], templates=templates)
    mail_kinds.register(KIND, kind)
    yield templates
    mail_kinds.unregister(KIND)
    token_purposes.unregister(PURPOSE)


@pytest.fixture
def invitations() -> Invitations:
    return Invitations()


@pytest.fixture
def app(databases: Databases, theirs: Path, invitations: Invitations, tmp_path: Path) -> Iterator[Flask]:
    with databases.migrated() as url:
        made = create_app(testing.settings(url, mail_folder=tmp_path / "mails"))
        AuthApp.of(made).register_link_confirmation(invitations)
        yield made
        dispose(made)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def invite(app: Flask, user_id: UUID) -> None:
    with app.app_context(), transaction():
        details = {"team": "Engines"}
        outbox.add(KIND, user_id=user_id, address=None, context=testing.GUEST, details=details)


def test_what_their_link_refuses_is_in_the_contract(client: FlaskClient) -> None:
    operation = client.get("/openapi.json").get_json()["paths"][PATH]["put"]
    examples = operation["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert "role_taken" in examples
    assert [each for each in ({"accessToken": []}, {}) if each not in operation["security"]] == []


def test_their_mail_is_sent_and_its_link_does_what_they_say_once(
    app: Flask, client: FlaskClient, invitations: Invitations
) -> None:
    user = testing.create_user(app, "ada")
    invite(app, user.id)
    message = testing.send_mails(app)[-1]
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert (message["To"], message["Subject"]) == (user.email, "Engines invites you")
    assert plain
    assert html
    assert ">Join Engines</a>" in html.get_content()
    link, _, token = plain.get_content().strip().partition("#token=")
    assert link.endswith("/account/accept-invitation")

    answers = [client.put(PATH, json={"token": token}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 400]
    assert invitations.accepted == [user.id]


def test_a_link_of_theirs_that_nobody_confirms_is_no_link(databases: Databases, theirs: Path, tmp_path: Path) -> None:
    with databases.migrated() as url:
        app = create_app(testing.settings(url, mail_folder=tmp_path / "mails"))
        invite(app, testing.create_user(app, "ada").id)
        body = testing.send_mails(app)[-1].get_body(("plain",))
        assert body
        token = body.get_content().strip().partition("#token=")[2]
        answer = app.test_client().put(PATH, json={"token": token})
        dispose(app)
    assert answer.json["code"] == "one_time_token_invalid"


def test_templates_that_the_operator_chose_come_first(databases: Databases, theirs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "operator"
    folder.mkdir()
    (folder / f"{KIND}.txt").write_text("Subject: Another\n\nWords.\n")
    with databases.migrated() as url:
        app = create_app(testing.settings(url, mail_folder=tmp_path / "mails", mail_templates=folder))
        invite(app, testing.create_user(app, "ada").id)
        (message,) = [each for each in testing.send_mails(app) if each["Subject"] == "Another"]
        dispose(app)
    assert not message.is_multipart()
