"""Patterns of Python's ``re`` in the dialect of the OpenAPI document: ECMAScript with the flag ``u`` (JSON Schema)."""

import re
from typing import Any, cast

from marshmallow import fields, validate

_ESCAPE = r"\\U[0-9A-Fa-f]{8}|\\u\{[0-9A-Fa-f]+\}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[pP]\{[^}]*\}|\\."
_CLASS = r"\[\^?\]?(?:\\.|[^\]\\])*\]"
_TOKEN = re.compile(
    rf"{_CLASS}|{_ESCAPE}|\(\?P<|\(\?P=\w+\)|\(\?.|(?:\{{\d*,?\d*\}}|[*+?])\+|\{{,\d+\}}|\{{\d+(?:,\d*)?\}}|.",
    re.DOTALL,
)
_NUMBER = re.compile(r"\\[Uux]([0-9A-Fa-f]+)")
_CHARACTER = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_SHARED_ESCAPES = frozenset(r"dDwWsSbBfnrtvk0123456789^$\.*+?()[]{}|/")
_SHARED_GROUPS = frozenset({"(?:", "(?=", "(?!", "(?<"})
_RENAMED = {r"\Z": "$", r"\A": "^", "(?P<": "(?<"}
_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE


def describe_pattern(_converter: Any, field: fields.Field[Any], ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Translate the ``pattern`` of a property: an attribute function of apispec, which copies that of Python.

    A pattern that cannot be translated is left out.
    """
    pattern = ret.pop("pattern", None)
    if pattern is not None and "pattern" not in field.metadata:
        regex = next(check.regex for check in field.validators if isinstance(check, validate.Regexp))
        pattern = _searched(cast("re.Pattern[str]", regex))
    translated = None if pattern is None else ecmascript(pattern)
    return {} if translated is None else {"pattern": translated}


def ecmascript(pattern: str) -> str | None:
    """Return ``pattern`` in ECMAScript, or ``None`` if it has inline flags, atomic groups or possessive quantifiers."""
    translated = [_translated(token) for token in _TOKEN.findall(pattern)]
    return None if None in translated else "".join(filter(None, translated))


def _searched(regex: re.Pattern[str]) -> str | None:
    """Return a pattern to search with, as JSON Schema does, for one that marshmallow matches from the start."""
    if regex.flags & _FLAGS:
        return None  # JSON Schema has no flags
    anchored = regex.pattern.startswith(("^", r"\A")) and "|" not in regex.pattern
    return regex.pattern if anchored else f"^(?:{regex.pattern})"


def _translated(token: str) -> str | None:
    if token in _RENAMED:
        return _RENAMED[token]
    if token.startswith("["):
        return _class(token)
    if token.startswith("(?P="):
        return rf"\k<{token[4:-1]}>"
    if token.startswith("(?"):
        return token if token in _SHARED_GROUPS else None
    if len(token) > 1 and token[0] in "*+?{" and token.endswith("+"):
        return None
    if token.startswith("{,"):
        return "{0" + token[1:]
    # With the flag "u", a bracket that closes or quantifies nothing is an error.
    return f"\\{token}" if token in {"{", "}", "]"} else _character(token)


def _class(token: str) -> str:
    start = "[^" if token.startswith("[^") else "["
    # In Python, a closing bracket that comes first and every opening one are characters of the class.
    characters = _CHARACTER.findall(token[len(start) : -1])
    return start + "".join(f"\\{each}" if each in {"[", "]"} else _character(each, r"\-") for each in characters) + "]"


def _character(written: str, *kept: str) -> str:
    """Return a character or an escape as the flag ``u`` has it: no escape without a need, no raw control character.

    Up to U+00FF as ``\\xHH``: hey-api writes ``\\u0000`` as a raw NUL into its code.
    """
    if (number := _NUMBER.fullmatch(written)) is not None:
        return _by_number(int(number[1], base=16))
    if written in kept or len(written) > 2 or (len(written) == 2 and written[1] in _SHARED_ESCAPES):
        return written
    character = "\a" if written == r"\a" else written[-1]
    return character if character.isprintable() else _by_number(ord(character))


def _by_number(number: int) -> str:
    if number > 0xFFFF:
        return rf"\u{{{number:x}}}"
    return rf"\x{number:02x}" if number <= 0xFF else rf"\u{number:04x}"
