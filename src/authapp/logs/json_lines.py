"""JSON of a bounded length: a pipe keeps a write apart from those of other processes below 4,096 bytes (PIPE_BUF)."""

from collections.abc import Callable
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any

MAX_LENGTH = 4095
"""The most bytes of a line, its newline included."""

OMITTED = " [...] "

MAX_MEMBERS = 64
"""With more members than this, a line is not tried to be shortened member by member."""

ESSENTIAL = frozenset({"timestamp", "level", "name", "message", "request_id", "trace_id", "span_id"})

_CUTS = (3000, 2000, 1200, 600, 300, 150, 75, 36)


def utc(seconds: float) -> str:
    """Return a Unix time in ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def quoted(text: str, most: int) -> str:
    """Return ``text`` as a JSON string, cut so that it has at most ``most`` bytes and its quotes."""
    short: str = encode_basestring_ascii(text[:most])
    # A character has at most six bytes, such as \\u00fc.
    return short if len(short) <= most + 2 else encode_basestring_ascii(text[: most // 6])


def fitted(members: dict[str, Any], as_json: Callable[[dict[str, Any]], str]) -> str:
    """Return ``members`` as JSON, long texts without their middle where it would be too long for a line.

    If that is not enough, only those in ``ESSENTIAL`` are kept. What cannot fit is not encoded: a project may log what
    a client sent, and meanwhile nobody else is served.
    """
    texts = {name: value if isinstance(value, str) else str(value) for name, value in members.items()}
    if sum(map(len, texts.values())) < MAX_LENGTH:
        line = as_json(members)
        if len(line) < MAX_LENGTH:
            return line
    if len(members) <= MAX_MEMBERS:
        for most in _CUTS:
            line = as_json({name: _cut(members[name], texts[name], most) for name in members})
            if len(line) < MAX_LENGTH:
                return line
    essential = {name: text for name, text in texts.items() if name in ESSENTIAL}
    essential["message"] = essential.get("message", "") + OMITTED
    # The last one fits always: a character has at most twelve bytes.
    lines = (as_json({name: _cut(text, text, most) for name, text in essential.items()}) for most in _CUTS)
    return next(line for line in lines if len(line) < MAX_LENGTH)


def _cut(value: Any, text: str, most: int) -> Any:
    """Return ``value``, or ``text``, which is the same in words, without its middle if it is too long."""
    half = most // 2
    return value if len(text) <= most + len(OMITTED) else text[:half] + OMITTED + text[-half:]
