"""JSON values as YAML in block style, for people who read the OpenAPI document. It is written only, and never read."""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_$/][A-Za-z0-9_$/{}.-]*")
# Words that YAML 1.1, which most libraries read, takes for something else than text.
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_PLAIN_LINE = re.compile(r"[ -~]*[!-~]|")


def as_yaml(value: Any) -> str:
    """Return a dict or a list, and what it consists of, as YAML."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _entry(f"{indent}{_key(key)}:", each, indent)
    else:
        for each in value:
            if isinstance(each, dict | list) and each:
                first, *others = _lines(each, f"{indent}  ")
                yield f"{indent}- {first.lstrip(' ')}"
                yield from others
            else:
                yield from _entry(f"{indent}-", each, indent)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from _lines(value, f"{indent}  ")
    elif isinstance(value, str) and _is_paragraphs(value):
        yield f"{head} |-"
        yield from (f"{indent}  {line}" if line else "" for line in value.split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _is_paragraphs(text: str) -> bool:
    lines = text.split("\n")
    is_indented = text.startswith((" ", "\n"))
    return len(lines) > 1 and not is_indented and lines[-1] != "" and all(map(_PLAIN_LINE.fullmatch, lines))


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else _scalar(key)


def _scalar(value: Any) -> str:
    # JSON is YAML. Its escapes of characters beyond 16 bits are not.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)
