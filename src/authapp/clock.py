"""The one source of the current time, so that a test can set it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def from_timestamp(seconds: float | None) -> datetime | None:
    """Return the aware datetime ``seconds`` after the epoch (1970-01-01 in UTC); ``None`` for ``None``."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def from_iso8601(text: str) -> datetime:
    """Return the aware datetime of a text; without a zone it is UTC. Raises ``ValueError``, which quotes the text."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def rfc3339(time: datetime | None) -> str | None:
    """Return ``time`` as RFC 3339 text in UTC with a ``Z``, to the millisecond; ``None`` for ``None``."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
