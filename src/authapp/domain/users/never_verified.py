"""Pruning accounts that nobody ever verified: guests leave them behind where an address must be verified first.

Whether the address of such an account was free or somebody else's, it goes at the same time: see
``docs/decisions/0039-proofs-of-an-address.md``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import CTE, ColumnElement, Select, delete, exists, func, insert, literal, select, update

from authapp import clock
from authapp.database.session import server_now, transaction
from authapp.domain.audit import EventType
from authapp.domain.pruning import BATCH, Prunable
from authapp.models import ApiKey, AuditEvent, User, UserKind, UserRole


def never_verified(days: int) -> Sequence[Prunable]:
    """Return what is to be pruned: accounts that are ``days`` old and not in use. It is nothing for 0.

    A service account has no address to verify. An account with a role or with an API key was given it by an
    administrator, and one that was imported was brought by an operator. One that has been logged in to is from before
    addresses had to be verified, and its owner may come back.
    """
    unverified = User.first_verified_at.is_(None) & User.imported_at.is_(None)
    kept_for = timedelta(days=days)
    due = _NeverVerified("unverified_accounts", User.prune_checked_at, kept_for, lambda _latest: unverified)
    return [due] if days else []


class _NeverVerified(Prunable):
    """The accounts that are due. Those in use are due again later: else each run would read all that ever were.

    An account that is deleted leaves an event. It has no sessions.
    """

    def delete_rows(self, condition: ColumnElement[bool]) -> int:
        """Delete the accounts that meet ``condition``, without those in use; return their number."""
        statement, total = self._batch_statement(condition, server_now()), 0
        while True:
            with transaction() as session:
                due, removed = session.execute(statement).one()
            total += removed
            if due < BATCH:
                return total

    def _batch_statement(self, condition: ColumnElement[bool], now: datetime) -> Select[int, int]:
        """Return the statement that deletes or postpones the oldest rows; it returns how many were due and removed."""
        unused = User.last_login_at.is_(None) & (User.kind == UserKind.PERSON) & (User.updated_at < now - self.kept_for)
        # One that is being verified at this moment is locked, and stays.
        oldest = select(User.id, unused.label("is_unused")).where(condition).order_by(User.prune_checked_at)
        batch = oldest.limit(BATCH).with_for_update(skip_locked=True, of=User).cte("batch")
        is_given = exists().where(UserRole.user_id == batch.c.id) | exists().where(ApiKey.user_id == batch.c.id)
        left_behind = select(batch.c.id).where(batch.c.is_unused, ~is_given).cte("left_behind")
        in_use = select(batch.c.id).except_(select(left_behind.c.id))
        postponed = update(User).where(User.id.in_(in_use)).values(prune_checked_at=now).cte("postponed")
        deleted = _delete(left_behind)
        due, removed = (select(func.count()).select_from(rows).scalar_subquery() for rows in (batch, left_behind))
        return select(due, removed).add_cte(postponed, deleted)


def _delete(left_behind: CTE) -> CTE:
    """Return what deletes the accounts with these ids, and records it."""
    deleted = delete(User).where(User.id.in_(select(left_behind.c.id))).returning(User.id, User.username).cte("deleted")
    event = {
        "occurred_at": literal(clock.now(), AuditEvent.occurred_at.type),
        "id": func.gen_random_uuid(),
        "type": literal(EventType.USER_DELETED),
        "subject_id": deleted.c.id,
        "details": func.jsonb_build_object("username", deleted.c.username, "reason", "never_verified"),
    }
    return insert(AuditEvent).from_select(list(event), select(*event.values())).cte("recorded")
