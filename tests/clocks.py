"""The clocks of the application and of PostgreSQL, in the test's hands."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from authapp import clock
from authapp.domain import pruning, throttles
from authapp.domain.audit import trail
from authapp.domain.mail import outbox
from authapp.domain.users import never_verified


def set_clocks(monkeypatch: pytest.MonkeyPatch, now: Callable[[], datetime]) -> None:
    """Let the node and, where rows are pruned and mails claimed, PostgreSQL have the time that ``now`` returns."""
    monkeypatch.setattr(clock, "now", now)
    for module in (pruning, throttles, trail, never_verified, outbox):
        monkeypatch.setattr(module, "server_now", now)


class Time:
    """A clock that stands still until ``passes`` moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = clock.now()
        set_clocks(monkeypatch, lambda: self.now)

    def passes(self, duration: timedelta = timedelta(), **delta: float) -> None:
        self.now += duration + timedelta(**delta)
