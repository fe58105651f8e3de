"""The use cases of the audit trail: reading it page by page, and pruning it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.keyset import Column, KeysetRange
from authapp.database.session import transaction
from authapp.domain.audit.events import EventType
from authapp.domain.audit.recording import record
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.pruning import delete_in_batches
from authapp.models import AuditEvent


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events to list: those from ``since`` on and before ``until``.

    ``user_id`` finds what was done to a user, and what the user did to others.
    """

    user_id: UUID | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def keysets(self) -> list[KeysetRange]:
        """Return the index ranges that together hold the events."""
        of_type = {AuditEvent.type: self.type} if self.type else {}
        if not self.user_id:
            return [self._keyset(select(AuditEvent), of_type)]
        # What people do to their own account is found by the subject; the partial index by actor holds the rest.
        to_others = select(AuditEvent).where(
            AuditEvent.actor_id.is_distinct_from(AuditEvent.subject_id), AuditEvent.actor_id.is_not(None)
        )
        return [
            self._keyset(select(AuditEvent), {AuditEvent.subject_id: self.user_id, **of_type}),
            self._keyset(to_others, {AuditEvent.actor_id: self.user_id, **of_type}),
        ]

    def _keyset(self, rows: Select[Any], fixed: Mapping[Column, Any]) -> KeysetRange:
        return KeysetRange(rows=rows, fixed=fixed, order=_ORDER, since=self.since, until=self.until)


class AuditTrail:
    """The use cases of the audit trail."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def events(self, wanted: EventFilter, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
        """Return a page of the events that ``wanted`` describes, the newest first.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        return self._pages.page(Listing("audit_events", vars(wanted), _KEYS), wanted.keysets(), limit, cursor)

    def activity(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
        """Return a page of what happened to one's own account, the newest first."""
        events = KeysetRange(rows=select(AuditEvent), fixed={AuditEvent.subject_id: user_id}, order=_ORDER)
        return self._pages.page(Listing("activity", {"user_id": user_id}, _KEYS), [events], limit, cursor)

    @contextmanager
    def recorded(self, event_type: str, *, context: RequestContext, **details: Any) -> Iterator[None]:
        """Record what the block does outside the database, such as to a file of keys.

        No transaction holds both, so the event is committed first, and nothing is done that is not recorded. When the
        block raises, a second event like it says ``failed``.
        """
        _commit(event_type, context, details)
        try:
            yield
        except BaseException:
            # Without this event the trail tells of more than was done, which is the lesser evil; and it is the block's
            # error that the operator must read.
            with suppress(SQLAlchemyError):
                _commit(event_type, context, {**details, "failed": True})
            raise

    def prune(self, older_than: timedelta, *, context: RequestContext) -> int:
        """Remove the events that are older, in batches, and return how many there were.

        Each batch records an event itself, in its transaction: an interrupted pruning is recorded as far as it came.
        Where nothing is removed nothing is recorded, so that a timer does not fill the trail.
        """
        before = clock.now() - older_than
        return delete_in_batches(
            AuditEvent,
            [AuditEvent.occurred_at, AuditEvent.id],
            AuditEvent.occurred_at < before,
            # The trigger permits deletions in such a transaction alone.
            prepare=select(func.set_config("authapp.pruning", "on", True)),
            on_batch=lambda removed: record(
                EventType.AUDIT_PRUNED, context=context, before=clock.rfc3339(before), removed=removed
            ),
        )


def _commit(event_type: str, context: RequestContext, details: Mapping[str, Any]) -> None:
    with transaction():
        record(event_type, context=context, **details)


_ORDER = (AuditEvent.occurred_at, AuditEvent.id)
_KEYS = {"occurred_at": datetime, "id": UUID}
