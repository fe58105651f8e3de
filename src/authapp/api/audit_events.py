"""Blueprints ``audit_events`` (the whole audit trail) and ``activity`` (events of the user's own account)."""

from typing import Any

from flask import current_app

from authapp.api.authenticate import current_principal
from authapp.api.guards import requires
from authapp.api.openapi import Blueprint
from authapp.api.schemas.audit_events import ActivityQuerySchema, AuditEventPageSchema, AuditEventQuerySchema
from authapp.domain.audit.trail import EventFilter, RedactedEvent
from authapp.domain.pages import Page
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.models import AuditEvent

blueprint = Blueprint("audit_events", __name__, description="The audit trail")
activity = Blueprint("activity", __name__, description="Events of the user's own account")


@blueprint.get("")
@requires(Permission.AUDIT_READ)
@blueprint.arguments(AuditEventQuerySchema, location="query")
@blueprint.response(200, AuditEventPageSchema)
def list_audit_events(query: dict[str, Any]) -> Page[AuditEvent]:
    """List audit events.

    The newest one comes first.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor")
    return Services.of(current_app).audit.events(EventFilter(**query), limit, cursor)


@activity.get("")
@activity.arguments(ActivityQuerySchema, location="query")
@activity.response(200, AuditEventPageSchema)
def list_own_activity(query: dict[str, Any]) -> Page[AuditEvent | RedactedEvent]:
    """List events of your own account.

    The newest one comes first. They include logins and failed login attempts. The client details of other users'
    actions are hidden.
    """
    return Services.of(current_app).audit.activity(current_principal().id, **query)
