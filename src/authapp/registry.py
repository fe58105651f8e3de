"""Open lists of named values: ours are registered where they are defined, yours in your own modules."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Named values of one kind, such as permissions. Register yours when your module is imported.

    The OpenAPI document, the settings and the command line read the registry when the application is made, so import
    your modules before ``create_app()``.
    """

    def __init__(self, kind: str, pattern: str, rule: str, *, reserved: Collection[str] = ()) -> None:
        """Take the ``kind`` of value for messages, the regular ``pattern`` of a name, and the ``rule`` in words.

        ``reserved`` are names that mean something else where these are used.
        """
        self._kind, self._pattern, self._rule, self._reserved = kind, re.compile(pattern), rule, reserved
        self._values: dict[str, T] = {}
        self.names: list[str] = []
        """The names in order of registration.

        Always the same list object, so that the OpenAPI document can hold it and stay current.
        """

    def register(self, name: str, value: T) -> str:
        """Add ``value`` under ``name``, and return the name.

        The same pair may be registered again. Raises ``ValueError`` for a name that breaks the rule or is reserved,
        and for one that is registered with another value.
        """
        if not self._pattern.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a {self._kind}: {self._rule}")
        if name in self._reserved:
            raise ValueError(f"{name!r} cannot name a {self._kind}: it is one of {', '.join(sorted(self._reserved))}.")
        if name in self._values and self._values[name] != value:
            raise ValueError(f"There is a {self._kind} {name!r} already.")
        if name not in self._values:
            self._values[name] = value
            self.names.append(name)
        return name

    def unregister(self, name: str) -> None:
        """Remove ``name``, if it is there; for tests that register."""
        if name in self._values:
            del self._values[name]
            self.names.remove(name)

    def require(self, name: str) -> None:
        """Raise ``KeyError`` unless ``name`` is registered."""
        self[name]

    def __getitem__(self, name: str) -> T:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(
                f"There is no {self._kind} {name!r}: register it before it is used. There are: {', '.join(self.names)}."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
