"""``flask audit``: the audit trail."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from authapp import clock
from authapp.cli.commands import Commands, Duration, Registered, json_option, print_json, services, user_ref
from authapp.context import OPERATOR
from authapp.domain.audit import event_types
from authapp.domain.audit.trail import EventFilter
from authapp.models import AuditEvent

audit = Commands("audit", help="Read and prune the audit trail.")

EVENT_TYPE = Registered("type", event_types)


@audit.command("list")
@click.option(
    "--user",
    "name",
    metavar="USERNAME|ID",
    help="Only events that this user caused or was the subject of. The id also works for a deleted account.",
)
@click.option("--type", "event_type", type=EVENT_TYPE, help="Only events of this type, such as session.started.")
@click.option("--since", type=Duration(), help="Only events of the last 24h, for example.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
def list_(name: str | None, event_type: str | None, since: timedelta | None, limit: int, as_json: bool) -> None:
    """List events, newest first."""
    event_filter = EventFilter(
        user_id=None if name is None else _user_id(name),
        type=event_type,
        since=clock.now() - since if since else None,
    )
    events = services().audit.events(event_filter, limit).items
    if as_json:
        print_json([_as_data(event) for event in events])
        return
    for event in events:
        shown = _as_data(event)
        client = f"{shown['ip_address'] or '-'}  {shown['details'] or ''}".rstrip()
        accounts = f"by {shown['actor_id'] or '-'}  to {shown['subject_id'] or '-'}"
        click.echo(f"{shown['occurred_at']}  {event.type:20}  {accounts}  from {client}")


@audit.command("prune")
@click.option("--older-than", type=Duration(), required=True, help="Remove events older than this, such as 365d.")
@click.option("--type", "event_type", type=EVENT_TYPE, help="Only events of this type, such as login.refused.")
def prune(older_than: timedelta, event_type: str | None) -> None:
    """Remove old events in batches, and record each batch as an event."""
    removed = services().audit.prune(older_than, event_type, context=OPERATOR)
    click.echo(f"Removed {removed} events.")


def _user_id(name: str) -> UUID:
    # An id is not looked up, because the trail outlives the accounts.
    ref = user_ref(name)
    return ref if isinstance(ref, UUID) else services().accounts.find(ref).id


def _as_data(event: AuditEvent) -> dict[str, Any]:
    ids = {name: getattr(event, name) for name in ("id", "actor_id", "subject_id", "session_id")}
    return {
        "type": str(event.type),
        "occurred_at": clock.rfc3339(event.occurred_at),
        **{name: str(value) if value else None for name, value in ids.items()},
        "ip_address": event.ip_address,
        "user_agent": event.user_agent,
        "request_id": event.request_id,
        "details": event.details,
    }
