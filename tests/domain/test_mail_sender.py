"""The sender: it delivers for as long as its process runs, whatever happens."""

import threading
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from authapp.domain.mail.attempts import MailOutcome
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.sender import MailSender
from authapp.domain.mail.transports import (
    ServerUnavailable,
)
from mail_deliveries import (
    SENDER,
    deliver,
    raising,
)


def test_the_sender_survives_everything_and_goes_on(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([ServerUnavailable("no login"), OperationalError("x", {}, Exception("y")), ZeroDivisionError()])
    passes: list[str] = []
    naps: list[float] = []

    def fail_first(*_: object, **__: object) -> Counter[MailOutcome]:
        if error := next(failures, None):
            raise error
        passes.append("passed")
        return Counter()

    monkeypatch.setattr(delivery, "deliver", fail_first)
    monkeypatch.setattr("authapp.domain.mail.sender.sleep", lambda seconds, _running: naps.append(seconds))
    MailSender(delivery, app.app_context).send_while(lambda: len(passes) < 2, SENDER)
    assert "all mails wait: no login" in caplog.text
    assert [round(nap / base, 1) for nap, base in zip(naps, [2, 4, 8, 1, 1], strict=True)] == pytest.approx(
        [1] * 5, abs=0.2
    )


def test_the_pause_after_failures_has_a_maximum(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(delivery, "deliver", raising(ServerUnavailable("away")))
    monkeypatch.setattr("authapp.domain.mail.sender.sleep", lambda seconds, _running: naps.append(seconds))
    MailSender(delivery, app.app_context).send_while(lambda: len(naps) < 20, SENDER)
    assert 48 <= max(naps) <= 72


def test_a_sleeping_sender_stops_soon(app: Flask, delivery: MailDelivery) -> None:
    stop = threading.Event()
    sender = MailSender(delivery, app.app_context)
    thread = threading.Thread(target=lambda: sender.send_while(lambda: not stop.is_set(), SENDER))
    delivery.deliver = raising(ServerUnavailable("away"))  # type: ignore[method-assign, assignment]
    thread.start()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_an_empty_outbox_is_asked_for_in_one_statement(
    app: Flask, delivery: MailDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_claim", raising(AssertionError("no transaction")))
    assert deliver(delivery) == {}
