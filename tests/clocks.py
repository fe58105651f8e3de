"""The clock of the application, in the test's hands."""

from datetime import timedelta

import pytest

from authapp import clock


class Time:
    """A clock that stands still until ``passes`` moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.now)

    def passes(self, duration: timedelta = timedelta(), **delta: float) -> None:
        self.now += duration + timedelta(**delta)
