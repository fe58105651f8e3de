"""Mails that warn the owner of an API key before it expires: one for each key, from whichever node."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from authapp import AuthApp, create_app
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.api_keys import expiry_warnings
from authapp.domain.api_keys.expiry_warnings import ExpiryWarnings, store_due
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.services import Services
from authapp.models import OutgoingMail, User
from authapp.security import api_keys
from clocks import Time
from conftest import dispose
from databases import Databases
from domain.concurrently import at_once
from factories import a_service, a_user, an_api_key, api_key_row
from mail_deliveries import FakeTransport, deliver, text_of
from settings import mail, settings

NAME = "click-login.evil.com"


def a_key(app: Flask, user: User, time: Time, *, days: int = 90) -> str:
    """Make a key that lives for so many days."""
    return an_api_key(app, user, name=NAME, expires_at=time.now + timedelta(days=days))


def warned() -> list[Any]:
    """Return the ids of the accounts that are warned, in any order."""
    return list(db.session.scalars(select(OutgoingMail.user_id).where(OutgoingMail.kind == "api_key_expiring")))


def test_the_owner_is_warned_once_a_week_before(app: Flask, time: Time) -> None:
    user = a_user(app)
    key = a_key(app, user, time)
    an_api_key(app, user)  # which does not expire
    time.passes(days=83, seconds=-1)
    with app.app_context():
        store_due()
        assert warned() == []
        time.passes(seconds=1)
        for _ in range(3):
            store_due()
            time.passes(days=1)
        assert warned() == [user.id]
        assert api_key_row(app, key).warned_at is not None


def test_the_mail_names_the_key_by_its_prefix(
    app: Flask, time: Time, delivery: MailDelivery, transport: FakeTransport
) -> None:
    user = a_verified_user(app)
    key = a_key(app, user, time)
    ends = time.now + timedelta(days=90)
    time.passes(days=83)
    store_due()
    assert deliver(delivery) == {"sent": 1}
    (message,), (address,) = transport.messages, transport.recipients
    assert address == user.email
    assert key[: api_keys.PREFIX_LENGTH] in text_of(message)
    assert f"{ends:%Y-%m-%d %H:%M} UTC" in text_of(message)
    assert NAME not in message.as_string()
    assert key not in message.as_string()
    assert user.username in text_of(message)


def test_an_address_that_is_not_verified_gets_none(app: Flask, time: Time, delivery: MailDelivery) -> None:
    a_key(app, a_user(app), time)
    time.passes(days=83)
    store_due()
    with transaction():
        db.session.execute(text("DELETE FROM outgoing_mail WHERE kind <> 'api_key_expiring'"))
    assert deliver(delivery) == {"dropped": 1}


def a_verified_user(app: Flask) -> User:
    user = a_user(app)
    Services.of(app).email.verifications.mark(user.id, OPERATOR)
    return user


def delete_key(app: Flask, user: User, key: str) -> None:
    Services.of(app).api_keys.delete(user.id, api_keys.parse(key).key_id, OPERATOR)


def disable(app: Flask, user: User, _key: str) -> None:
    Services.of(app).administration.disable(user.id, OPERATOR)


def delete_user(app: Flask, user: User, _key: str) -> None:
    Services.of(app).administration.delete(user.id, OPERATOR)


@pytest.mark.parametrize("end", [delete_key, disable, delete_user])
def test_a_mail_that_is_no_longer_true_is_dropped(
    app: Flask, time: Time, delivery: MailDelivery, end: Callable[[Flask, User, str], None]
) -> None:
    user = a_verified_user(app)
    key = a_key(app, user, time)
    time.passes(days=83)
    store_due()
    end(app, user, key)
    with transaction():
        db.session.execute(text("DELETE FROM outgoing_mail WHERE kind <> 'api_key_expiring'"))
    assert deliver(delivery) == {"dropped": 1}


def test_a_service_account_has_nobody_to_warn(app: Flask, time: Time) -> None:
    key = a_key(app, a_service(app), time)
    time.passes(days=84)
    with app.app_context():
        store_due()
        assert warned() == []
    assert api_key_row(app, key).warned_at is not None, "it is not looked at again"


def test_nobody_is_warned_of_a_key_made_for_a_week_or_less(app: Flask, time: Time) -> None:
    user = a_user(app)
    a_key(app, user, time, days=7)
    with app.app_context():
        store_due()
        assert warned() == []
        a_key(app, user, time, days=8)
        time.passes(days=1)
        store_due()
        assert warned() == [user.id]


def test_nobody_is_warned_of_a_key_that_is_over(app: Flask, time: Time) -> None:
    a_key(app, a_user(app), time)
    time.passes(days=90)
    with app.app_context():
        store_due()
        assert warned() == []


def test_there_may_be_more_than_fit_a_batch(app: Flask, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_warnings, "BATCH", 2)
    users = [a_service(app), a_service(app), a_user(app), a_user(app), a_user(app)]
    for user in users:
        a_key(app, user, time)
    time.passes(days=84)
    with app.app_context():
        store_due()
        assert sorted(warned()) == sorted(user.id for user in users[2:])


@pytest.mark.committed
def test_nodes_that_look_at_once_store_one_mail_for_each_key(app: Flask, time: Time) -> None:
    users = [a_user(app) for _ in range(4)]
    for user in users:
        a_key(app, user, time)
    time.passes(days=84)
    at_once(app, *[store_due] * 8)
    with app.app_context():
        store_due()
        assert sorted(warned()) == sorted(user.id for user in users)


@pytest.mark.committed
def test_a_node_leaves_keys_to_the_one_that_is_marking_them(
    app: Flask, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = a_user(app)
    a_key(app, user, time)
    time.passes(days=84)
    marked, looked = threading.Event(), threading.Event()

    @contextmanager
    def slow() -> Iterator[Any]:
        with transaction() as session:
            yield session
            if not marked.is_set():
                marked.set()
                looked.wait(2)

    def look() -> None:
        marked.wait()
        store_due()
        looked.set()

    monkeypatch.setattr(expiry_warnings, "transaction", slow)
    at_once(app, store_due, look)
    with app.app_context():
        assert warned() == [user.id]


@pytest.mark.committed
def test_a_key_is_marked_with_its_mail_or_not_at_all(app: Flask, time: Time) -> None:
    key = a_key(app, a_user(app), time)
    time.passes(days=84)
    with app.app_context():
        with transaction():
            db.session.execute(text("ALTER TABLE outgoing_mail RENAME TO elsewhere"))
        with pytest.raises(ProgrammingError):
            store_due()
        with transaction():
            db.session.execute(text("ALTER TABLE elsewhere RENAME TO outgoing_mail"))
        assert api_key_row(app, key).warned_at is None
        store_due()
        assert len(warned()) == 1


def test_the_keys_are_found_by_an_index(app: Flask) -> None:
    with app.app_context(), transaction():
        sql = expiry_warnings.due_keys(db.session.scalar(text("SELECT now()"))).compile(
            db.engine, compile_kwargs={"literal_binds": True}
        )
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(db.session.scalars(text(f"EXPLAIN {sql}")))
    assert "ix_api_keys_unwarned" in plan
    assert "Sort" not in plan


def test_workers_look_again_and_again_where_there_is_mail(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    naps: list[float] = []
    outcomes = iter([ZeroDivisionError(), None])

    def look() -> None:
        if error := next(outcomes):
            raise error

    monkeypatch.setattr(expiry_warnings, "store_due", look)
    monkeypatch.setattr(expiry_warnings, "sleep", lambda seconds, _running: naps.append(seconds))
    ExpiryWarnings(app.app_context).store_while(lambda: len(naps) < 3)
    assert naps[0] <= 60
    assert naps[1:] == pytest.approx([3600, 3600], rel=0.2)
    assert "the owners of API keys that expire are not warned" in caplog.text


@pytest.mark.parametrize("with_mail", [False, True])
def test_they_are_stored_where_there_is_mail_and_nowhere_else(
    databases: Databases, tmp_path: Any, with_mail: bool
) -> None:
    with databases.migrated() as url:
        chosen = mail(tmp_path, mail_sender="off") if with_mail else {"mail_url": None}
        app = create_app(settings(database_url=url, **chosen))
        tasks = [getattr(task, "__self__", None) for task in AuthApp.of(app).background]
        assert any(isinstance(task, ExpiryWarnings) for task in tasks) is with_mail
        dispose(app)
