"""JSON of a bounded length: a pipe keeps a write apart from those of other processes below 4,096 bytes (PIPE_BUF)."""

from collections.abc import Callable
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any

MAX_LENGTH = 4095
"""The most bytes of a line, its newline included."""

OMITTED = " [...] "


def utc(seconds: float) -> str:
    """Return a Unix time in ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def quoted(text: str, most: int) -> str:
    """Return ``text`` as a JSON string, cut so that it has at most ``most`` bytes and its quotes."""
    short: str = encode_basestring_ascii(text[:most])
    # A character has at most six bytes, such as \\u00fc.
    return short if len(short) <= most + 2 else encode_basestring_ascii(text[: most // 6])


def fitted(members: dict[str, Any], as_json: Callable[[dict[str, Any]], str]) -> str:
    """Return ``members`` as JSON, the longest texts without their middle where it would be too long for a line."""
    line = as_json(members)
    while len(line) >= MAX_LENGTH:
        name = max(members, key=lambda name: len(str(members[name])))
        text = str(members[name])
        half = min(len(text), 3000) // 3
        if half <= len(OMITTED):
            break
        members = {**members, name: text[:half] + OMITTED + text[-half:]}
        line = as_json(members)
    return line
