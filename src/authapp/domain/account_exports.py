"""Exports of accounts in the form of an import, for the operator."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.account_parts import AccountPart
from authapp.domain.audit import EventType
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import UserRef
from authapp.domain.users.search import UserSearch
from authapp.errors import ServiceAccount
from authapp.models import User, UserKind
from authapp.security.foreign_hashes import IMPORTED_PREFIX

BATCH = 500
"""How many accounts are read at once."""

Write = Callable[[dict[str, Any]], object]
"""Takes the fields of one account, as an import has them."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is exported beside the accounts: their password hashes, and the parts that are secret."""

    with_hashes: bool = False
    with_secrets: bool = False


@dataclass
class ExportCounts:
    """How many accounts were exported, and how many service accounts were left out."""

    exported: int = 0
    left_out: int = 0


class AccountExports:
    """The use case of exporting accounts. API keys cannot be moved, so service accounts are left out."""

    def __init__(self, accounts: Accounts, search: UserSearch, parts: Mapping[str, AccountPart]) -> None:
        """Take the parts of accounts, by the names of their fields, beside the use cases."""
        self._accounts = accounts
        self._search = search
        self._parts = parts

    def export_account(
        self, user: UserRef, write: Write, options: ExportOptions, context: RequestContext
    ) -> ExportCounts:
        """Write one account; the export is recorded.

        Raises ``ResourceNotFound`` if there is no account ``user``, ``ServiceAccount`` if it is one, and
        ``ServiceUnavailable`` if a secret cannot be decrypted.
        """
        account = self._accounts.find(user)
        if account.kind == UserKind.SERVICE:
            raise ServiceAccount("A service account cannot be moved: make another one, with API keys of its own.")
        return self._export([account], write, options, context, subject_id=account.id)

    def export_all(self, write: Write, options: ExportOptions, context: RequestContext) -> ExportCounts:
        """Write the accounts of all persons in the order of their ids, as they are read; the export is recorded.

        Raises ``ServiceUnavailable`` if a secret cannot be decrypted.
        """
        return self._export(self._search.iterate_all(), write, options, context)

    def _export(
        self, users: Iterable[User], write: Write, options: ExportOptions, context: RequestContext, **subject: Any
    ) -> ExportCounts:
        counts = ExportCounts()
        for batch in _batches(users):
            persons = [user for user in batch if user.kind == UserKind.PERSON]
            counts.left_out += len(batch) - len(persons)
            counts.exported += len(persons)
            for fields in self._fields(persons, options):
                write(fields)
        with transaction():
            details = {**vars(options), "accounts": counts.exported}
            audit.record(EventType.ACCOUNTS_EXPORTED, context=context, **subject, **details)
        return counts

    def _fields(self, users: list[User], options: ExportOptions) -> Iterator[dict[str, Any]]:
        ids = [user.id for user in users]
        parts = {
            name: part.export(ids) for name, part in self._parts.items() if options.with_secrets or not part.is_secret
        }
        for user in users:
            fields = {name: by_user[user.id] for name, by_user in parts.items() if user.id in by_user}
            yield _import_fields(user, fields, with_hash=options.with_hashes)


def _batches(users: Iterable[User]) -> Iterator[list[User]]:
    remaining = iter(users)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _import_fields(user: User, parts: Mapping[str, Any], *, with_hash: bool) -> dict[str, Any]:
    fields = {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "status": str(user.status),
        "roles": user.roles,
        "created_at": clock.rfc3339(user.created_at),
    }
    if with_hash and user.password_hash is not None:
        fields["password_hash"] = user.password_hash.removeprefix(IMPORTED_PREFIX)
    return {**fields, **parts}
