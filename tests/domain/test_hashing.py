"""The wait for a password hash: what is left of a request's deadline for the database after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from authapp.database import deadline
from authapp.domain.passwords.hashing import SECONDS_AFTER_WAIT, PasswordHasher
from factories import GUEST


class Clock:
    """The monotonic clock, as far as the deadline sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(deadline, "time", self)

    def monotonic(self) -> float:
        return self.now


class Queue:
    """In place of the bulkhead: the wait takes ``seconds``, and the hash ten."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    @contextmanager
    def turn(self, _is_gone: object) -> Iterator[None]:
        self._clock.now += self._seconds
        yield

    def run(self, _work: Callable[..., Any], *_arguments: object) -> tuple[bool, None]:
        self._clock.now += 10
        return True, None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    yield Clock(monkeypatch)
    deadline.stop()


@pytest.mark.parametrize(
    ("timeout", "wait", "left"),
    [
        (2.5, 0, 2.5),
        (2.5, 0.5, 2.0),
        (2.5, 2, SECONDS_AFTER_WAIT),
        (2.5, 60, SECONDS_AFTER_WAIT),
        (0.5, 0.25, 0.5),
        (0.5, 60, 0.5),
        (10, 2, 8),
    ],
)
def test_the_wait_counts_as_long_as_enough_is_left_after_it(
    clock: Clock, timeout: float, wait: float, left: float
) -> None:
    passwords: Any = None
    hasher = PasswordHasher(passwords, Queue(clock, wait))  # type: ignore[arg-type]
    deadline.start(timeout)
    with hasher.turn(GUEST):
        assert deadline.left(60) == left


def test_the_hash_itself_does_not_count(clock: Clock) -> None:
    passwords: Any = type("Passwords", (), {"verify": None})()
    hasher = PasswordHasher(passwords, Queue(clock, 0))  # type: ignore[arg-type]
    deadline.start(2.5)
    with hasher.turn(GUEST):
        assert hasher.verify("password", None) == (True, None)
        assert deadline.left(60) == 2.5


def test_without_a_deadline_there_is_none_after_the_wait(clock: Clock) -> None:
    passwords: Any = None
    hasher = PasswordHasher(passwords, Queue(clock, 60))  # type: ignore[arg-type]
    with hasher.turn(GUEST):
        assert deadline.left(60) == 60
