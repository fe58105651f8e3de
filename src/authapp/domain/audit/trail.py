"""The use cases of the audit trail: listing events by page, recording key changes, and pruning."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Select, func, select, true
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.keyset import Column, IndexRange
from authapp.database.session import server_now, transaction
from authapp.domain.audit.events import EventType
from authapp.domain.audit.recording import record
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.pruning import delete_in_batches
from authapp.models import AuditEvent


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events to list: from ``since`` (inclusive) to ``until`` (exclusive).

    ``user_id`` selects the events that the user caused or was the subject of.
    """

    user_id: UUID | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def index_ranges(self) -> list[IndexRange]:
        """Return the disjoint index ranges that together contain the events."""
        of_type = {AuditEvent.type: self.type} if self.type else {}
        if not self.user_id:
            return [self._index_range(select(AuditEvent), of_type)]
        # Events where users act on their own account are found by subject. The partial index by actor has the others.
        to_others = select(AuditEvent).where(
            AuditEvent.actor_id.is_distinct_from(AuditEvent.subject_id), AuditEvent.actor_id.is_not(None)
        )
        return [
            self._index_range(select(AuditEvent), {AuditEvent.subject_id: self.user_id, **of_type}),
            self._index_range(to_others, {AuditEvent.actor_id: self.user_id, **of_type}),
        ]

    def _index_range(self, rows: Select[Any], fixed: Mapping[Column, Any]) -> IndexRange:
        return IndexRange(rows=rows, fixed=fixed, order=_ORDER, since=self.since, until=self.until)


@dataclass(frozen=True, kw_only=True)
class RedactedEvent:
    """An event as its subject may see it if another user caused it: without that user's client and session."""

    id: UUID
    type: str
    actor_id: UUID | None
    subject_id: UUID | None
    occurred_at: datetime
    details: Mapping[str, Any]
    session_id: None = None
    ip_address: None = None
    user_agent: None = None
    request_id: None = None

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        """Return ``event`` redacted."""
        return cls(
            id=event.id,
            type=event.type,
            actor_id=event.actor_id,
            subject_id=event.subject_id,
            occurred_at=event.occurred_at,
            details=event.details,
        )


class AuditTrail:
    """The use cases of the audit trail."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def events(self, event_filter: EventFilter, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
        """Return a page of the events that match ``event_filter``, newest first.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        listing = Listing("audit_events", vars(event_filter), _KEYS)
        return self._pages.page(listing, event_filter.index_ranges(), limit, cursor)

    def activity(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[AuditEvent | RedactedEvent]:
        """Return a page of the events of the user's own account, newest first; those by other users redacted.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        events = IndexRange(rows=select(AuditEvent), fixed={AuditEvent.subject_id: user_id}, order=_ORDER)
        page = self._pages.page(Listing("activity", {"user_id": user_id}, _KEYS), [events], limit, cursor)
        items = [event if event.actor_id in {None, user_id} else RedactedEvent.of(event) for event in page.items]
        return Page(items, page.next_cursor)

    @contextmanager
    def recorded(self, event_type: str, *, context: RequestContext, **details: Any) -> Iterator[None]:
        """Context manager: record an event for work outside the database, such as a change to the key file.

        One transaction cannot cover both, so the event is committed before the block runs: no change goes unrecorded.
        If the block raises, a second event with ``failed`` in its details is recorded.
        """
        _commit(event_type, context, details)
        try:
            yield
        except BaseException:
            # If this event cannot be stored, the trail shows a change that was not made, which is acceptable. The
            # operator must see the error of the block, not this one.
            with suppress(SQLAlchemyError):
                _commit(event_type, context, {**details, "failed": True})
            raise

    def prune(self, older_than: timedelta, event_type: str | None = None, *, context: RequestContext) -> int:
        """Delete the events that are older than this by PostgreSQL's clock, of one type or of all, in batches.

        Returns their number.

        Each batch records an event in its own transaction, so that an interrupted pruning is recorded up to where it
        stopped. If nothing is deleted, nothing is recorded, so that a timer does not fill the trail.
        """
        before = server_now() - older_than
        of_type = AuditEvent.type == event_type if event_type else true()
        details: dict[str, Any] = {"type": event_type} if event_type else {}
        return delete_in_batches(
            AuditEvent.occurred_at,
            (AuditEvent.occurred_at < before) & of_type,
            # The trigger allows deletes only in a transaction with this setting.
            prepare=select(func.set_config("authapp.pruning", "on", True)),
            on_batch=lambda removed: record(
                EventType.AUDIT_PRUNED, context=context, before=clock.rfc3339(before), removed=removed, **details
            ),
        )


def _commit(event_type: str, context: RequestContext, details: Mapping[str, Any]) -> None:
    with transaction():
        record(event_type, context=context, **details)


_ORDER = (AuditEvent.occurred_at, AuditEvent.id)
_KEYS = {"occurred_at": datetime, "id": UUID}
