"""The audit trail: events are written in the transaction of what they tell, and never changed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, Text, Uuid, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.domain.origins import COMMAND_LINE, Origin
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.pruning import delete_in_batches
from authapp.domain.ranges import Column, Range
from authapp.domain.transactions import transaction
from authapp.extensions import db
from authapp.models import AuditEvent, EventType
from authapp.security import identifiers


def record(
    event: EventType,
    *,
    by: Origin,
    subject_id: UUID | None = None,
    actor_id: UUID | None = None,
    session_id: UUID | None = None,
    **details: Any,
) -> None:
    """Write an event within the transaction that is open: it is there exactly when what it tells is.

    The actor and the session are those of ``by`` unless they are given. ``details`` must hold no secret.
    """
    db.session.add(
        AuditEvent(
            occurred_at=clock.now(),
            id=identifiers.time_ordered(),
            type=event,
            actor_id=actor_id or by.actor_id,
            subject_id=subject_id,
            session_id=session_id or by.session_id,
            ip_address=by.ip_address,
            user_agent=by.agent,
            request_id=by.request_id,
            details=details,
        )
    )


def record_each(event: EventType, subject_ids: ColumnElement[UUID], *, by: Origin, **details: Any) -> int:
    """Write an event for each account of a column, such as a CTE's, in one statement; return how many they were.

    It is ``record`` for accounts that may be many. PostgreSQL makes the ids, which are in no order: that of the list is
    the time's, and these have one.
    """
    columns: dict[str, ColumnElement[Any]] = {
        "occurred_at": literal(clock.now(), AuditEvent.occurred_at.type),
        "id": func.gen_random_uuid(),
        "type": literal(event, AuditEvent.type.type),
        "actor_id": literal(by.actor_id, Uuid),
        "subject_id": subject_ids,
        "session_id": literal(by.session_id, Uuid),
        "ip_address": literal(by.ip_address, Text),
        "user_agent": literal(by.agent, Text),
        "request_id": literal(by.request_id, Text),
        "details": literal(details, JSONB),
    }
    statement = insert(AuditEvent).from_select(list(columns), select(*columns.values()))
    written: int = db.session.connection().execute(statement).rowcount
    return written


def noted(source: CTE, values: Mapping[str, Any]) -> CTE:
    """Return the part of a statement that writes an event for each row of ``source``, and so in no round trip more.

    ``values`` are its columns; where the request comes from, and the event's id, are parameters: ``noting``'s.
    """
    columns = {
        "id": bindparam("event_id", type_=Uuid),
        "ip_address": bindparam("ip_address", type_=Text),
        "user_agent": bindparam("user_agent", type_=Text),
        "request_id": bindparam("request_id", type_=Text),
        **values,
    }
    rows = select(*columns.values()).select_from(source)
    # A statement that runs again, because its connection had died, tells of it once.
    return insert(AuditEvent).from_select(list(columns), rows).on_conflict_do_nothing().cte("noted")


def noting(by: Origin) -> dict[str, Any]:
    """Return the parameters of a statement with ``noted`` in it."""
    return {
        "event_id": identifiers.time_ordered(),
        "ip_address": by.ip_address,
        "user_agent": by.agent,
        "request_id": by.request_id,
    }


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are asked for; ``since`` is the first moment that counts, ``until`` the first that does not.

    ``user_id`` finds what was done to a user, and what the user did to others.
    """

    user_id: UUID | None = None
    type: EventType | None = None
    since: datetime | None = None
    until: datetime | None = None

    def ranges(self) -> list[Range]:
        """Return the ranges that together are the events; there is an index for each."""
        of_type = {AuditEvent.type: self.type} if self.type else {}
        if not self.user_id:
            return [self._range(select(AuditEvent), of_type)]
        # What people do to themselves is found by the subject; the index by actors holds the rest, in these words.
        to_others = select(AuditEvent).where(
            AuditEvent.actor_id.is_distinct_from(AuditEvent.subject_id), AuditEvent.actor_id.is_not(None)
        )
        return [
            self._range(select(AuditEvent), {AuditEvent.subject_id: self.user_id, **of_type}),
            self._range(to_others, {AuditEvent.actor_id: self.user_id, **of_type}),
        ]

    def _range(self, rows: Select[Any], fixed: Mapping[Column, Any]) -> Range:
        return Range(rows=rows, fixed=fixed, order=_ORDER, since=self.since, until=self.until)


class Audit:
    """The use cases of the audit trail."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def events(self, wanted: EventFilter, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
        """Return a page of the events that ``wanted`` describes, the newest first.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        return self._pages.page(Listing("audit_events", vars(wanted), _KEYS), wanted.ranges(), limit, cursor)

    def activity(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
        """Return a page of what happened to one's own account, the newest first."""
        own = Range(rows=select(AuditEvent), fixed={AuditEvent.subject_id: user_id}, order=_ORDER)
        return self._pages.page(Listing("activity", {"user_id": user_id}, _KEYS), [own], limit, cursor)

    @contextmanager
    def noting(self, event: EventType, **details: Any) -> Iterator[None]:
        """Write an event about what the block does outside the database, such as to a file of keys.

        No transaction holds both, so the event is committed first, and nothing is done that is not noted. When the
        block raises, a second event like it says ``failed``.
        """
        _note(event, details)
        try:
            yield
        except BaseException:
            # Without this event the trail tells of more than was done, which is the lesser evil; and it is the block's
            # error that the operator must read.
            with suppress(SQLAlchemyError):
                _note(event, {**details, "failed": True})
            raise

    def prune(self, older_than: timedelta) -> int:
        """Remove the events that are older, in batches, and return how many they were.

        Each batch is an event itself, in its transaction: what was removed before an interruption is told as well.
        Where nothing is removed there is nothing to tell, so that a timer does not fill the trail.
        """
        before = clock.now() - older_than
        return delete_in_batches(
            AuditEvent,
            [AuditEvent.occurred_at, AuditEvent.id],
            AuditEvent.occurred_at < before,
            # The trigger lets go of events in such a transaction alone.
            prepare=select(func.set_config("authapp.pruning", "on", True)),
            told=lambda removed: record(
                EventType.AUDIT_PRUNED, by=COMMAND_LINE, before=clock.rfc3339(before), removed=removed
            ),
        )


def _note(event: EventType, details: Mapping[str, Any]) -> None:
    with transaction():
        record(event, by=COMMAND_LINE, **details)


_ORDER = (AuditEvent.occurred_at, AuditEvent.id)
_KEYS = {"occurred_at": datetime, "id": UUID}
