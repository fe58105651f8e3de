"""The base class of all refusals, and their kinds. A kind has no ``code``; ``api/errors.py`` maps it to a status."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One invalid field of a request.

    ``pointer`` is a JSON pointer fragment (RFC 6901, section 6) such as ``#/email``; ``detail`` is a sentence.
    """

    pointer: str
    detail: str


@dataclass(frozen=True)
class Quota:
    """A rate limit that is used up: its ``name``, and the ``amount`` of requests it allows per ``seconds``."""

    name: str
    amount: int
    seconds: int


class Refusal(Exception):
    """The base class of all refusals.

    ``detail`` explains this occurrence, ``field_errors`` name the fields to correct and ``retry_after`` is in seconds.
    ``members`` are further members of the problem document (RFC 9457, section 3.2), which a subclass may set; it then
    gives an example of each in ``member_examples``, for the OpenAPI document.
    ``is_final`` is false for an answer that asks for another step, such as a second factor, and is no failure.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    members: Mapping[str, object] = MappingProxyType({})
    member_examples: ClassVar[Mapping[str, object]] = MappingProxyType({})
    is_final: ClassVar[bool] = True

    def __init__(
        self, detail: str = "", *, field_errors: Sequence[FieldError] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.field_errors = tuple(field_errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return the title, the detail and the field errors in one line."""
        reasons = [f"{error.pointer.removeprefix('#/')}: {error.detail}" for error in self.field_errors]
        return " ".join(filter(None, [self.title, self.detail, *reasons]))


class Malformed(Refusal):
    """The request cannot be parsed."""


class Unauthenticated(Refusal):
    """The request has no valid credential.

    ``auth_schemes`` and ``auth_params`` make the challenges in ``WWW-Authenticate`` (RFC 9110, section 11.6.1), without
    the realm. Without a credential there are no parameters (RFC 6750, section 3.1).
    """

    auth_schemes: Sequence[str] = ("Bearer",)
    auth_params: Mapping[str, str] = MappingProxyType({})


class Forbidden(Refusal):
    """The request is valid, but the principal is not allowed to do this."""


class NotFound(Refusal):
    """The resource does not exist, or is hidden from the principal."""


class Conflict(Refusal):
    """The request conflicts with stored data."""


class Invalid(Refusal):
    """The request can be parsed, but some of its values are not acceptable; ``example`` is one for the documents."""

    example: ClassVar[FieldError] = FieldError("#/email", "Not a valid email address.")


class TooMany(Refusal):
    """A limit is used up; ``quota`` is that limit, or ``None``."""

    def __init__(self, detail: str = "", *, retry_after: int, quota: Quota | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.quota = quota


class Unavailable(Refusal):
    """The service cannot answer now; the same request may succeed later."""


def catalogue() -> dict[str, type[Refusal]]:
    """Return every refusal that has a code, as a dict sorted by code. Raises ``ValueError`` if two have the same."""

    def leaves(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for child in kind.__subclasses__():
            yield from leaves(child)
        if "code" in vars(kind):
            yield kind

    refusals: dict[str, type[Refusal]] = {}
    for leaf in sorted(leaves(Refusal), key=lambda leaf: leaf.code):
        if refusals.setdefault(leaf.code, leaf) is not leaf:
            raise ValueError(f"Two refusals have the code {leaf.code}: {refusals[leaf.code]!r} and {leaf!r}.")
    return refusals
