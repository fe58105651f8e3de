"""What the signals of an application tell, and the database as others see it then."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from blinker import NamedSignal
from flask import Flask
from sqlalchemy import create_engine

from authapp import hooks
from authapp.domain.services import Services

TOLD_AFTERWARDS = {
    "user_registered",
    "user_deleted",
    "session_started",
    "session_ended",
    "password_changed",
}


class Heard:
    """What was heard of one application: the signals, with what was sent, and the database as others see it then."""

    def __init__(self, url: str) -> None:
        self.signals: list[tuple[str, Any, dict[str, Any]]] = []
        self.rows: list[Callable[[Any], Any]] = []
        self.seen: list[Any] = []
        self._engine = create_engine(url)
        self._receivers: list[tuple[NamedSignal, Callable[..., None]]] = []

    def listen(self, name: str, signal: NamedSignal) -> None:
        def receive(sender: Any, **details: Any) -> None:
            self.signals.append((name, sender, details))
            with self._engine.connect() as connection:
                self.seen += [look(connection) for look in self.rows]

        self._receivers.append((signal, receive))  # a signal holds its receivers weakly
        signal.connect(receive)

    def counts(self) -> dict[str, int]:
        return dict(Counter(name for name, _, _ in self.signals))

    def close(self) -> None:
        for signal, receive in self._receivers:
            signal.disconnect(receive)
        self._engine.dispose()


@contextmanager
def hearing(app: Flask) -> Iterator[Heard]:
    """Listen to everything that is told afterwards."""
    heard = Heard(Services.of(app).settings.database_url)
    for name in sorted(TOLD_AFTERWARDS):
        heard.listen(name, getattr(hooks, name))
    yield heard
    heard.close()
