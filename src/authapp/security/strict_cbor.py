"""A strict CBOR parser (RFC 8949): it reads what authenticators write (CTAP 2.1, section 8), and little else.

General parsers obey tags: compile a regular expression, compute a decimal number. One message of a few bytes can so
take minutes of the processor, during which a worker serves nobody.
"""

from typing import Any

MAX_DEPTH = 4
MAX_ITEMS = 64

_INTEGER, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {20: False, 21: True, 22: None}


def loads(data: bytes) -> Any:
    """Return the value in ``data``. Raises ``ValueError``, as ``loads_all`` does, also unless it is exactly one."""
    values = loads_all(data)
    if len(values) != 1:
        raise ValueError("not one CBOR value")
    return values[0]


def loads_all(data: bytes) -> list[Any]:
    """Return the values in ``data``, which follow each other.

    Raises ``ValueError`` unless they are integers, byte strings, texts, ``true``, ``false``, ``null``, and arrays and
    maps of these: of known length, nested at most ``MAX_DEPTH`` deep, with ``MAX_ITEMS`` items in all, and with
    integers and texts as keys, each once.
    """
    reader, values = _Reader(data), []
    while not reader.is_at_end:
        values.append(reader.value(MAX_DEPTH))
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._items = 0

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)

    def value(self, levels: int) -> Any:
        """Return the next value, which has at most so many levels of arrays and maps."""
        self._items += 1
        if self._items > MAX_ITEMS:
            raise ValueError("too many CBOR items")
        kind, information = divmod(self._take(1)[0], 32)
        if kind == _SIMPLE and information in _SIMPLE_VALUES:
            return _SIMPLE_VALUES[information]
        if kind in {_TAG, _SIMPLE}:
            raise ValueError("a tag, a fraction or an unknown kind of CBOR item")
        return self._content(kind, self._argument(information), levels)

    def _content(self, kind: int, argument: int, levels: int) -> Any:
        if kind == _INTEGER:
            return argument
        if kind == _NEGATIVE:
            return -1 - argument
        if kind == _BYTES:
            return self._take(argument)
        if kind == _TEXT:
            return self._take(argument).decode("utf-8")
        if levels == 0:
            raise ValueError("CBOR is nested too deeply")
        # However many are announced, the loop ends with the data or with too many items.
        if kind == _ARRAY:
            return [self.value(levels - 1) for _ in range(argument)]
        return self._map(argument, levels - 1)

    def _map(self, length: int, levels: int) -> dict[int | str, Any]:
        members: dict[int | str, Any] = {}
        for _ in range(length):
            key = self.value(0)
            if type(key) not in {int, str} or key in members:
                raise ValueError("a CBOR key is neither an integer nor a text, or appears twice")
            members[key] = self.value(levels)
        return members

    def _argument(self, information: int) -> int:
        if information < 24:
            return information
        if information > 27:
            raise ValueError("a CBOR item has no length")
        return int.from_bytes(self._take(1 << (information - 24)), "big")

    def _take(self, length: int) -> bytes:
        taken = self._data[self._position : self._position + length]
        if len(taken) != length:
            raise ValueError("CBOR ends too early")
        self._position += length
        return taken
