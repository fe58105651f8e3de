"""Pruning accounts that nobody ever verified: guests leave them behind where an address must be verified first.

Whether the address of such an account was free or somebody else's, it goes at the same time: see
``docs/decisions/0039-proofs-of-an-address.md``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, literal, select

from authapp import clock
from authapp.database.session import transaction
from authapp.domain.audit import EventType
from authapp.domain.pruning import BATCH, Prunable
from authapp.models import ApiKey, AuditEvent, User, UserKind, UserRole

LOOKED_AT = 1_000
"""How many accounts a scrape of the metrics looks at."""


def never_verified(days: int) -> Sequence[Prunable]:
    """Return what is to be pruned: accounts that are ``days`` old and not in use. It is nothing for 0.

    A service account has no address to verify. An account with a role or with an API key was given it by an
    administrator, and one that was imported was brought by an operator. One that has been logged in to is from before
    addresses had to be verified, and its owner may come back.
    """

    def is_left_behind(latest: datetime) -> ColumnElement[bool]:
        unused = User.first_verified_at.is_(None) & User.last_login_at.is_(None) & (User.kind == UserKind.PERSON)
        is_given = exists().where(UserRole.user_id == User.id) | exists().where(ApiKey.user_id == User.id)
        unused &= User.imported_at.is_(None)
        return unused & ~is_given & (User.updated_at < latest)

    kept_for = timedelta(days=days)
    return [_NeverVerified("unverified_accounts", User.created_at, kept_for, is_left_behind)] if days else []


class _NeverVerified(Prunable):
    """The accounts, each of which leaves an event. They have no sessions."""

    def oldest(self, now: datetime) -> Select[datetime | None]:
        """Return the statement that finds when the oldest account was created that is left behind.

        It looks at the ``LOOKED_AT`` oldest unverified accounts alone: those that are in use stay, and may be many.
        """
        unverified = select(User.id).where(User.first_verified_at.is_(None), User.imported_at.is_(None))
        looked_at = unverified.order_by(User.created_at).limit(LOOKED_AT)
        return super().oldest(now).where(User.id.in_(looked_at))

    def delete_rows(self, condition: ColumnElement[bool]) -> int:
        """Delete the accounts that meet ``condition``, the oldest first, in batches; return their number."""
        total = 0
        while removed := _delete_batch(condition):
            total += removed
        return total


def _delete_batch(condition: ColumnElement[bool]) -> int:
    # One that is being verified at this moment is locked, and stays.
    oldest = select(User.id).where(condition).order_by(User.created_at).limit(BATCH)
    batch = oldest.with_for_update(skip_locked=True, of=User).cte("batch")
    deleted = delete(User).where(User.id.in_(select(batch.c.id))).returning(User.id, User.username).cte("deleted")
    event = {
        "occurred_at": literal(clock.now(), AuditEvent.occurred_at.type),
        "id": func.gen_random_uuid(),
        "type": literal(EventType.USER_DELETED),
        "subject_id": deleted.c.id,
        "details": func.jsonb_build_object("username", deleted.c.username, "reason", "never_verified"),
    }
    recorded = insert(AuditEvent).from_select(list(event), select(*event.values()))
    with transaction() as session:
        removed: int = session.connection().execute(recorded).rowcount
    return removed
