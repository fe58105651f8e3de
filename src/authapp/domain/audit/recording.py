"""Writing audit events, in the same transaction or statement as the change that they record."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Text, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock, metrics
from authapp.context import Principal, RequestContext
from authapp.database.session import db
from authapp.domain.audit.events import event_types
from authapp.models import AuditEvent
from authapp.security import identifiers


def record(
    event_type: str,
    *,
    context: RequestContext,
    subject_id: UUID | None = None,
    actor_id: UUID | None = None,
    session_id: UUID | None = None,
    **details: Any,
) -> None:
    """Add an event to the open transaction, so that it is stored if and only if the change is.

    The actor and the session are those of ``context`` unless given. ``details`` must not contain secrets; they also
    name the API key that the actor used.

    Raises ``KeyError`` for a type that is not registered.
    """
    event_types.require(event_type)
    count(event_type)
    db.session.add(
        AuditEvent(
            occurred_at=clock.now(),
            id=identifiers.time_ordered(),
            type=event_type,
            actor_id=actor_id or context.actor_id,
            subject_id=subject_id,
            session_id=session_id or context.session_id,
            ip_address=context.ip_address,
            user_agent=context.truncated_user_agent,
            request_id=context.request_id,
            details={**_key_used(context), **details},
        )
    )


def record_many(event_type: str, events: Iterable[tuple[UUID, Mapping[str, Any]]], context: RequestContext) -> None:
    """Add events of one type to the open transaction, each with its subject and details, in one statement.

    Raises ``KeyError`` for a type that is not registered.
    """
    event_types.require(event_type)
    alike = {
        "occurred_at": clock.now(),
        "type": event_type,
        "actor_id": context.actor_id,
        "session_id": context.session_id,
        "ip_address": context.ip_address,
        "user_agent": context.truncated_user_agent,
        "request_id": context.request_id,
    }
    used = _key_used(context)
    rows = [
        {**alike, "id": identifiers.time_ordered(), "subject_id": subject_id, "details": {**used, **details}}
        for subject_id, details in events
    ]
    if rows:
        db.session.execute(insert(AuditEvent), rows)
    count(event_type, len(rows))


def _key_used(context: RequestContext) -> dict[str, str]:
    if isinstance(context.principal, Principal) and context.principal.api_key_id:
        return {"by_api_key": str(context.principal.api_key_id)}
    return {}


def count(event_type: str, events: int = 1) -> None:
    """Count events in the metrics, once the statement with their ``audit_cte`` has returned; ``record`` does it itself.

    An event whose transaction is rolled back afterwards counts as well.
    """
    metrics.AUDIT_EVENTS.labels(event_type).inc(events)


def audit_cte(source: CTE, values: Mapping[str, Any]) -> CTE:
    """Return a CTE that writes an event for each row of ``source``, without a separate round trip.

    ``values`` maps columns of the event to values. The id and the data of the request are bind parameters, whose values
    ``audit_params`` returns.
    """
    columns = {
        "id": bindparam("event_id", type_=Uuid),
        "ip_address": bindparam("ip_address", type_=Text),
        "user_agent": bindparam("user_agent", type_=Text),
        "request_id": bindparam("request_id", type_=Text),
        **values,
    }
    rows = select(*columns.values()).select_from(source)
    # If a statement is run again because its connection had died, it must not write its event twice.
    return insert(AuditEvent).from_select(list(columns), rows).on_conflict_do_nothing().cte("audited")


def audit_params(context: RequestContext) -> dict[str, Any]:
    """Return the values of the bind parameters of ``audit_cte``."""
    return {
        "event_id": identifiers.time_ordered(),
        "ip_address": context.ip_address,
        "user_agent": context.truncated_user_agent,
        "request_id": context.request_id,
    }
