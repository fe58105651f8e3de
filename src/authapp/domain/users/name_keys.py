"""Keys of names that were written by another rule than this version's: nobody finds an account by such a key.

The version before case-folds names. Its nodes go on to do so after the migration, until the last of them has stopped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select

from authapp.context import RequestContext
from authapp.database.bounded_scan import bounded_scan
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.users.rows import lock_account, unique_names
from authapp.errors import EmailTaken, ResourceNotFound, UsernameTaken
from authapp.models import User
from authapp.models.user import email_key, folded

BATCH = 5_000
"""How many accounts one statement looks at."""


@dataclass
class KeyRepair:
    """What was repaired, and what was not: accounts whose name belongs to another account as well."""

    repaired: list[UUID]
    clashes: list[UUID]


class NameKeys:
    """The use cases of name keys."""

    def outdated(self, batches: int | None = None) -> Iterator[UUID]:
        """Yield the accounts with an outdated key, newest first; of the newest ``batches * BATCH``, if given."""
        after: UUID | None = None
        while batches is None or batches > 0:
            newest = select(case((_may_differ(), User.id)).label("id"), User.id.label("key"), *_NAMES)
            older = newest if after is None else newest.where(User.id < after)
            scan = bounded_scan(db.session.connection(), older.order_by(User.id.desc()), BATCH)
            yield from (row.id for row in scan.passed if _are_outdated(row))
            if scan.resume_after is None:
                return
            (after,) = scan.resume_after
            batches = None if batches is None else batches - 1

    def repair(self, context: RequestContext) -> KeyRepair:
        """Write the outdated keys anew, each account in a transaction of its own; safe to run again at any time.

        A key may be free only after another account has given it up, so accounts that clash are tried again for as long
        as others could be repaired.
        """
        with transaction():
            outdated = list(self.outdated())
        repaired: list[UUID] = []
        while True:
            clashes: list[UUID] = []
            for user_id in outdated:
                (repaired if self._repair_one(user_id, context) else clashes).append(user_id)
            if len(clashes) in {0, len(outdated)}:
                return KeyRepair(repaired, clashes)
            outdated = clashes

    def _repair_one(self, user_id: UUID, context: RequestContext) -> bool:
        """Return whether there is no outdated key left to repair; not if another account has the right one."""
        try:
            with unique_names(), transaction():
                user = lock_account(user_id)
                if _are_outdated(user):
                    user.username_key, user.email_key = _keys(user)
                    audit.record(EventType.USER_CHANGED, context=context, subject_id=user.id, fields=["keys"])
        except (UsernameTaken, EmailTaken):
            return False
        except ResourceNotFound:
            return True  # deleted meanwhile
        return True


_NAMES = (User.username, User.username_key, User.email, User.email_key)


def _keys(names: Any) -> tuple[str, str | None]:
    return folded(names.username), None if names.email is None else email_key(names.email)


def _are_outdated(names: Any) -> bool:
    return _keys(names) != (names.username_key, names.email_key)


def _may_differ() -> ColumnElement[bool]:
    """Return the SQL condition for the few accounts whose keys are computed: PostgreSQL has neither rule itself."""
    texts: tuple[Any, ...] = (User.username, User.email)
    return or_(
        User.username_key != func.lower(User.username.collate("C")),
        User.email_key != func.lower(User.email.collate("C")),
        *(func.octet_length(name) != func.char_length(name) for name in texts),
        User.email.ilike("%xn--%"),
    )
