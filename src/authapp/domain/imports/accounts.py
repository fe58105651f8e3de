"""One account of an import: its fields, checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from authapp import clock
from authapp.domain.account_parts import ACCOUNT_FIELDS, AccountPart
from authapp.domain.users.made_usernames import made_username
from authapp.models import UserStatus
from authapp.models.role import ROLES_PER_ACCOUNT, checked_role_name
from authapp.models.user import checked_email, checked_username, email_key, folded
from authapp.security import identifiers
from authapp.security.foreign_hashes import IMPORTED_PREFIX, verifier

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImportedAccount:
    """A valid account that is not stored.

    ``is_named`` tells whether it came with its username, which otherwise was made of the address. ``parts`` are the
    values of its ``AccountPart``s, by their fields.
    """

    id: UUID
    username: str
    is_named: bool
    email: str
    email_verified: bool
    password_hash: str | None = field(repr=False)
    status: str
    roles: tuple[str, ...]
    created_at: datetime
    parts: Mapping[str, Any] = field(repr=False)

    @cached_property
    def username_key(self) -> str:
        """The key that is unique in ``users``."""
        return folded(self.username)

    @cached_property
    def email_key(self) -> str:
        """The key that is unique in ``users``."""
        return email_key(self.email)

    @classmethod
    def read(cls, fields: Mapping[str, Any], parts: Mapping[str, AccountPart]) -> "ImportedAccount":
        """Return the account with these fields, some of which may be those of ``parts``.

        Raises ``ValueError`` with a sentence that quotes no value.
        """
        if unknown := fields.keys() - ACCOUNT_FIELDS - parts.keys():
            raise ValueError(f"There is no field {', '.join(sorted(unknown))}.")
        email = _checked_field("email", checked_email, _required(fields, "email", str))
        given = _optional(fields, "username", str)
        return cls(
            id=_id(_optional(fields, "id", str)),
            username=made_username([email]) if given is None else _checked_field("username", checked_username, given),
            is_named=given is not None,
            email=email,
            email_verified=_optional(fields, "email_verified", bool) or False,
            password_hash=_with_import_prefix(_optional(fields, "password_hash", str)),
            status=_status(_optional(fields, "status", str)),
            roles=_roles(_optional(fields, "roles", list) or []),
            created_at=_time(_optional(fields, "created_at", str)),
            parts={
                name: _checked_field(name, part.read, fields[name])
                for name, part in parts.items()
                if fields.get(name) is not None
            },
        )


def _optional(fields: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{name}: Not of the type that it must have.")
    return value


def _required(fields: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = _optional(fields, name, kind)
    if value is None:
        raise ValueError(f"{name}: Missing.")
    return value


def _checked_field(name: str, check: Callable[[Any], T], value: Any) -> T:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _id(text: str | None) -> UUID:
    if text is None:
        return identifiers.time_ordered()
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("id: Not a UUID.") from None


def _with_import_prefix(stored: str | None) -> str | None:
    if stored is None:
        return None
    # Nothing is computed here: it reads the format and its costs.
    _checked_field("password_hash", verifier, stored)
    return IMPORTED_PREFIX + stored


def _status(text: str | None) -> str:
    if text not in {None, *UserStatus}:
        raise ValueError(f"status: Must be one of: {', '.join(UserStatus)}.")
    return text or UserStatus.ACTIVE


def _roles(names: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in names):
        raise ValueError("roles: Not a list of names.")
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) > ROLES_PER_ACCOUNT:
        raise ValueError(f"roles: An account has at most {ROLES_PER_ACCOUNT} roles.")
    for name in distinct:
        _checked_field("roles", checked_role_name, name)
    return distinct


def _time(text: str | None) -> datetime:
    now = clock.now()
    if text is None:
        return now
    try:
        # Without a zone it is UTC, as in dumps of databases that keep it so.
        time = clock.from_iso8601(text)
    except ValueError:
        raise ValueError("created_at: Not a time in the form of RFC 3339.") from None
    if not datetime(1970, 1, 1, tzinfo=now.tzinfo) <= time <= now:
        raise ValueError("created_at: Not a time from 1970 until now.")
    # Zones that are further from UTC than any, or by parts of a second, are ISO 8601, and refused by PostgreSQL.
    return time.astimezone(now.tzinfo)
