"""Calls with a time limit: what others do around them takes nothing from their outcome, and no secret to the log."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from authapp.domain.timed_runs import TimedRun

SECRET = "correct horse"


@contextmanager
def broken_teardown() -> Iterator[None]:
    yield
    raise RuntimeError(SECRET)


def test_a_teardown_that_raises_takes_nothing_from_what_was_returned(caplog: pytest.LogCaptureFixture) -> None:
    assert TimedRun(lambda: 5, 10, broken_teardown).outcome() == 5

    assert "a call with a time limit failed: RuntimeError" in caplog.text
    assert SECRET not in caplog.text


def test_a_call_that_raises_has_no_outcome_and_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    def call() -> int:
        raise RuntimeError(SECRET)

    run = TimedRun(call, 10, broken_teardown)
    with pytest.raises(TimeoutError):
        run.outcome()

    assert "a call with a time limit failed: RuntimeError" in caplog.text
    assert SECRET not in caplog.text
