"""For the tests of an application that uses authapp: settings, a migrated database, users, sessions and clients."""

import email
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from authapp.cli import migrations
from authapp.config import MailServer, Settings, normalised_database_url, rate_limits
from authapp.context import OPERATOR, RequestContext
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.models import User
from authapp.security import identifiers
from authapp.security.keys import Key, KeyRing

PASSWORD = "correct horse battery staple"  # noqa: S105 - of users that exist in tests alone
GUEST = RequestContext(ip_address="192.0.2.1", user_agent="tests", request_id=None, principal=None)
"""The context of a guest, for calling use cases that a guest may call."""

_KEYS = KeyRing([Key.generate()]).to_json()
_numbers = itertools.count(1)


def settings(database_url: str, *, mail_folder: Path | None = None, **changes: Any) -> Settings:
    """Return settings for tests: cheap password hashes, no limits by address, keys of this process.

    With ``mail_folder``, everything that needs mail exists, and ``send_mails`` writes the mails there.
    """
    values: dict[str, Any] = {
        "jwt_keys": _KEYS,
        "argon2_memory_kib": 8,
        "argon2_time_cost": 1,
        "hashing_queue_seconds": 60,
        "rate_limits": dict.fromkeys(rate_limits),
        **(_mail_to(mail_folder) if mail_folder else {}),
        **changes,
    }
    return Settings(database_url=normalised_database_url(database_url), **values)


def _mail_to(folder: Path) -> dict[str, Any]:
    return {"mail_url": MailServer("file", folder=folder), "mail_from": Address("", addr_spec="no-reply@example.com")}


def send_mails(app: Flask) -> list[EmailMessage]:
    """Send the mails that are due into the folder of the settings, and return all that are there, the oldest first."""
    with app.app_context():
        services = Services.of(app)
        if services.mail.delivery is None or services.settings.mail_url is None:
            return []
        services.mail.delivery.deliver(GUEST, limit=1_000)
    files = sorted(services.settings.mail_url.folder.glob("*.eml"))
    return [email.message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


@contextmanager
def temporary_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server of ``server_url``, lend its address, and drop it.

    The role in the address must be allowed to create databases.
    """
    server = make_url(normalised_database_url(server_url))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"authapp_testing_{identifiers.random_text().replace('-', '')}"
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        engine.dispose()


def upgrade_database(app: Flask) -> None:
    """Run authapp's migrations and those of the project, as ``flask db upgrade`` does."""
    with app.app_context():
        migrations.upgrade()


def create_user(
    app: Flask, username: str | None = None, *, password: str | None = PASSWORD, roles: Iterable[str] = ()
) -> User:
    """Create a user, with a numbered name unless one is given; the address is ``<name>@example.com``."""
    name = username or f"user{next(_numbers)}"
    names = {"username": name, "email": f"{name.lower()}@example.com"}
    with app.app_context():
        return Services.of(app).accounts.create(**names, password=password, roles=roles, context=OPERATOR)


def log_in(app: Flask, user: User, password: str = PASSWORD) -> TokenPair:
    """Start a session for ``user``, and return its tokens."""
    with app.app_context():
        return Services.of(app).password_login.log_in(user.username, password, GUEST)


def client(app: Flask, user: User | None = None) -> FlaskClient:
    """Return a test client; with a ``user``, one that sends an access token of a new session with each request."""
    made = app.test_client()
    if user is not None:
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {log_in(app, user).access_token}"
    return made
