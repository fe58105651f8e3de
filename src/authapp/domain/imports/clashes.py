"""Lines of an import whose id, address or username an account has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, any_, literal, select

from authapp.database.session import db
from authapp.domain.imports.accounts import ImportedAccount
from authapp.domain.imports.lines import AccountLine
from authapp.domain.users.made_usernames import with_suffix
from authapp.models import User


@dataclass(frozen=True)
class Clash:
    """A line whose ``field`` an account has: one in the database, or one of a line further up in the batch.

    With the same ``id`` or ``email``, it is the account of the line, and ``user_id`` is its id. With the same
    ``username`` it is somebody else's, and ``user_id`` is ``None``.
    """

    line: AccountLine
    field: str
    user_id: UUID | None = None

    @property
    def reason(self) -> str:
        """A sentence for the operator."""
        return f"{self.field}: Another account has it."


def without_clashes(lines: Sequence[AccountLine]) -> tuple[list[AccountLine], list[Clash]]:
    """Return the lines whose accounts can be stored, and the clashes of the others.

    A username that was made of an address gives way to all others of the batch: it is replaced if it is taken.
    """
    taken = _Taken([line.account for line in lines])
    clashes, free = [], []
    for line in lines:
        if clash := taken.clash(line):
            clashes.append(clash)
        else:
            taken.add(line.account)
            free.append(line)
    return [_with_free_username(line, taken.usernames) for line in free], clashes


class _Taken:
    """What accounts have: those in the database that are like some of ``accounts``, and those that are added."""

    def __init__(self, accounts: Sequence[ImportedAccount]) -> None:
        self._ids = set(db.session.scalars(_like(User.id, [each.id for each in accounts])))
        emails = _like(User.email_key, [each.email_key for each in accounts]).add_columns(User.id)
        self._ids_by_email: dict[str, UUID] = dict(tuple(row) for row in db.session.execute(emails))
        usernames = [each.username_key for each in accounts]
        self.usernames = set(db.session.scalars(_like(User.username_key, usernames)))

    def clash(self, line: AccountLine) -> Clash | None:
        account = line.account
        # A line that is imported again has the username of its own account, too: so this comes last.
        if account.id in self._ids:
            return Clash(line, "id", account.id)
        if account.email_key in self._ids_by_email:
            return Clash(line, "email", self._ids_by_email[account.email_key])
        if account.is_named and account.username_key in self.usernames:
            return Clash(line, "username")
        return None

    def add(self, account: ImportedAccount) -> None:
        self._ids.add(account.id)
        self._ids_by_email[account.email_key] = account.id
        if account.is_named:
            self.usernames.add(account.username_key)


def _with_free_username(line: AccountLine, taken: set[str]) -> AccountLine:
    """Return the line with a username that is not in ``taken``, and add it there."""
    account = line.account
    if not account.is_named:
        if account.username_key in taken:
            # A random one, which nobody can have registered to be in the way.
            account = replace(account, username=with_suffix(account.username, token_hex(4)))
        taken.add(account.username_key)
    return replace(line, account=account)


def _like(column: Any, values: Iterable[Any]) -> Select[Any]:
    """Return the statement for those of ``values`` that an account has in ``column``."""
    return select(column).where(column == any_(literal([*values], ARRAY(column.type))))
