"""Deleting a role: one mark takes it from everybody at once, and the rows of its holders are removed in batches.

Of a role with few holders, everything goes at once. Otherwise its row stays, marked, until ``flask tokens prune`` has
removed the rest; nobody has the role meanwhile, and no new role gets its name.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, select, tuple_

from authapp.database.session import db, transaction
from authapp.domain.pruning import BATCH, Prunable, prunables
from authapp.errors import RoleTaken
from authapp.models import Role, UserRole

REMOVED_AT_ONCE = 1_000
"""The most holders whose rows one request removes."""

# Not the mapped class: the sessions hide the rows of deleted roles.
_USER_ROLES = UserRole.__table__


def delete_role(role: Role, now: datetime) -> int:
    """Delete a locked role within the open transaction; return how many rows of holders were removed.

    ``REMOVED_AT_ONCE`` means that there may be more.
    """
    removed = _remove_holders(role.name, REMOVED_AT_ONCE)
    if removed < REMOVED_AT_ONCE:
        db.session.delete(role)
    else:
        role.deleted_at = now
        # For nodes of the version before, which do not know the mark.
        role.permissions = []
    return removed


def remove_deleted_role(name: str) -> None:
    """Remove what is left of a deleted role of this name, so that a new one may have it.

    Raises ``RoleTaken`` while rows of the old holders are left: they would become holders of the new role. What was
    removed before stays removed.
    """
    with transaction() as session:
        if (role := _lock_deleted_role(name)) is None:
            return
        is_taken = _remove_holders(name, REMOVED_AT_ONCE) == REMOVED_AT_ONCE
        if not is_taken:
            session.delete(role)
    if is_taken:
        raise RoleTaken("A role of this name was deleted, and is still being taken from those who had it.")


class _DeletedRoles(Prunable):
    """The deleted roles, whose holders' rows are removed before them."""

    def condition(self, now: datetime) -> ColumnElement[bool]:
        """Return the SQL condition on the deleted roles, those of this very moment as well."""
        return ~Role.is_live

    def delete_rows(self, condition: ColumnElement[bool]) -> int:
        """Delete the rows of the holders in batches, and then the roles; return the number of roles alone."""
        for name in db.session.scalars(select(Role.name).where(condition)).all():
            while _remove_batch(name) == BATCH:
                pass
        # Another node may still be removing the rows of some: the foreign key would delete all of them at once.
        return super().delete_rows(condition & ~exists().where(_USER_ROLES.c.role_name == Role.name))


prunables.register("roles", _DeletedRoles("deleted_roles", Role.deleted_at))


def _remove_batch(name: str) -> int:
    with transaction():
        # Locked, and read again: meanwhile the name may have become free, and be that of a new role with holders.
        return _remove_holders(name, BATCH) if _lock_deleted_role(name, skip_locked=True) else 0


def _lock_deleted_role(name: str, *, skip_locked: bool = False) -> Role | None:
    deleted = select(Role).where(Role.name == name, ~Role.is_live)
    role: Role | None = db.session.scalar(deleted.with_for_update(skip_locked=skip_locked))
    return role


def _remove_holders(name: str, most: int) -> int:
    key = (_USER_ROLES.c.user_id, _USER_ROLES.c.role_name)
    batch = select(*key).where(_USER_ROLES.c.role_name == name).limit(most).with_for_update().cte("batch")
    removed: int = (
        db.session.connection().execute(delete(_USER_ROLES).where(tuple_(*key).in_(select(*batch.c)))).rowcount
    )
    return removed
