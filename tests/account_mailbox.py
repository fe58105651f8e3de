"""An account, ada, and the mails to it that are stored: fixtures and helpers for the tests of what they are about."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.services import Services
from authapp.models import AuditEvent, OutgoingMail, User
from authapp.models.role import ADMIN
from factories import GUEST, PASSWORD, Api, a_user
from factors import a_session_with_two_factors, an_app


class AccountMailbox:
    """The mails of one account that are stored and that delivery would send, and their links."""

    def __init__(self, app: Flask, user: User) -> None:
        self._services, self._user_id = Services.of(app), user.id

    def mails(self) -> list[tuple[str, str | None]]:
        """Return the kind and the address of each mail that is stored."""
        rows = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)).all()
        return [(row.kind, row.address) for row in rows if row.user_id in {None, self._user_id}]

    def link(self, kind: str, address: str | None = None) -> str:
        """Send the newest mail of a kind, as delivery does, and return the token in its link."""
        token = self._send(kind, address)
        assert token is not None, f"a {kind} is dropped, or has no link"
        return token

    def sends_no_link(self, kind: str, address: str | None = None) -> bool:
        """Tell whether the newest mail of a kind is dropped when it is to be sent, or has no link."""
        return self._send(kind, address) is None

    def _send(self, kind: str, address: str | None) -> str | None:
        with transaction():
            newest = select(OutgoingMail).where(OutgoingMail.kind == kind).order_by(OutgoingMail.id.desc())
            if address is not None:
                newest = newest.where(OutgoingMail.address == address)
            row = db.session.scalars(newest.limit(1)).one()
            recipient = mail_kinds[kind].recipient(row)
            purpose = mail_kinds[kind].purpose
            if recipient is None or purpose is None:
                return None
            return one_time_tokens.issue(
                recipient.user.id,
                purpose,
                sent_to=recipient.address,
            )


@pytest.fixture
def mailbox(app: Flask, user: User) -> Any:
    with app.app_context():
        yield AccountMailbox(app, user)


@pytest.fixture
def services(app: Flask) -> Services:
    return Services.of(app)


@pytest.fixture
def change(api: Api, token: str, mailbox: AccountMailbox, services: Services) -> Callable[[str], None]:
    """A function that gives the account another address, as its owner does."""

    def run(address: str) -> None:
        services.email.address_changes.request(account("ada").id, address, PASSWORD, GUEST)
        services.email.link_confirmations.confirm(mailbox.link("change_email", address), PASSWORD, GUEST)

    return run


@pytest.fixture
def admin(app: Flask, api: Api) -> str:
    """The access token of an administrator with two factors."""
    user = a_user(app, roles=[ADMIN])
    return a_session_with_two_factors(app, api, user, an_app(app, user)).access_token


def account(username: str) -> User:
    found = select(User).where(User.username == username)
    return db.session.scalars(found.execution_options(populate_existing=True)).one()


def events(user_id: UUID) -> list[str]:
    ordered = select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)
    return [event.type for event in db.session.scalars(ordered.where(AuditEvent.subject_id == user_id))]


def issue(services: Services, user: User, purpose: str) -> str:
    with transaction():
        return one_time_tokens.issue(user.id, purpose, sent_to=user.email)


def is_good(services: Services, token: str, purpose: str) -> bool:
    return one_time_tokens.find(token, purpose) is not None
