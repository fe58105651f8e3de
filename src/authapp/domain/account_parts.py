"""Parts of accounts: what moves with an account besides its row. Each is one field of imports and exports.

Ours are registered beside their tables; yours, with you.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp.config import Settings
from authapp.context import RequestContext
from authapp.registry import Registry
from authapp.security.encryption_keys import EncryptionKeys

ACCOUNT_FIELDS = frozenset(
    {"id", "username", "email", "email_verified", "password_hash", "status", "roles", "created_at"},
)
"""The fields of an account that are columns or roles of it. Its parts have one field each."""


@dataclass(frozen=True, kw_only=True)
class PartTools:
    """What a part may use of the application: its settings, and the keys that encrypt secrets, if it has any."""

    settings: Settings
    encryption_keys: EncryptionKeys | None


@dataclass(frozen=True, kw_only=True)
class AccountPart:
    """What accounts have in a table of theirs, such as the secret of an authenticator app.

    Each function works within the open transaction, on a batch of up to 1,000 accounts at once: use one statement for
    all of them.
    """

    read: Callable[[Any], Any]
    """Takes the field of one account, as JSON, and returns the value to store.

    It raises ``ValueError`` with a sentence that quotes no value. Nothing is asked of the database here.
    """

    store: Callable[[Mapping[UUID, Any], RequestContext], None]
    """Stores the values of new accounts, by their ids, and records the events."""

    export: Callable[[Sequence[UUID]], Mapping[UUID, Any]]
    """Takes ids of accounts, and returns their fields, as JSON that ``read`` takes; an account may have none."""

    taken: Callable[[Mapping[UUID, Any]], Collection[UUID]] = lambda _values: ()
    """Takes values by the ids of their accounts, and returns the ids whose value another account has.

    The other account is in the database, or earlier in the mapping.
    """

    is_secret: bool = False
    """Whether it is exported only if the operator asks for secrets."""


account_parts: Registry[Callable[[PartTools], AccountPart]] = Registry(
    "part of an account",
    r"[a-z][a-z0-9_]{0,39}",
    "use 1 to 40 of a-z, 0-9 and _, such as newsletters.",
    reserved=ACCOUNT_FIELDS,
)
"""What returns the part for an application, by the name of its field. Register your own before ``create_app()``."""


def parts_of(tools: PartTools) -> dict[str, AccountPart]:
    """Return the parts in one application, by the names of their fields."""
    return {name: make(tools) for name, make in account_parts.items()}
