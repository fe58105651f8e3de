"""The one door to the current time, so that a test can stand at any moment."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def moment(seconds: float | None) -> datetime | None:
    """Return the aware datetime that is so many seconds after the epoch; nothing for nothing."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def rfc3339(moment: datetime | None) -> str | None:
    """Return ``moment`` as RFC 3339 has it, in UTC with a ``Z``, to the millisecond; nothing for nothing."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
