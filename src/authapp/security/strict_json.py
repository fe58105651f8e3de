"""A strict JSON parser (RFC 8259): it refuses what lenient parsers accept, and what PostgreSQL cannot store."""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_DIGITS = 64


def loads_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in ``data``. Raises ``ValueError``, as ``loads`` does, also for any other value."""
    value = loads(data)
    if not isinstance(value, dict):
        raise ValueError("The body must be one JSON object.")  # noqa: TRY004 - the caller's data, not its type
    return value


def loads(data: bytes) -> Any:
    """Return the JSON value in ``data``.

    Raises ``ValueError``, with a sentence for the client, unless ``data`` is one value, in UTF-8 without a byte order
    mark, nested at most ``MAX_DEPTH`` deep, and without duplicate members (RFC 7519, section 4), NUL characters, lone
    surrogates, ``NaN``, ``Infinity``, and numbers that are too large.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short_integer,
        )
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    except json.JSONDecodeError:
        raise ValueError("The body is not JSON.") from None
    _inspect(value)
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys some parsers keep the first and some the last, so they would see different requests.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("A key appears twice in one JSON object.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("A number is too large.")
    return number


def _short_integer(text: str) -> int:
    # Parsing takes time quadratic in the number of digits. Python itself refuses more than 4,300.
    if len(text) > MAX_DIGITS:
        raise ValueError("A number is too large.")
    return int(text)


def _inspect(value: Any) -> None:
    """Check depth and strings without recursion, so that a deeply nested value cannot exhaust the stack."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _inspect_text(item)
            elif isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise ValueError("The JSON is nested too deeply.")


def _inspect_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("A string holds a NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("A string holds a lone surrogate.") from None
