"""Schemas of audit events and their queries."""

from marshmallow import Schema, ValidationError, fields

from authapp.api.schemas.fields import IP_ADDRESS, USER_AGENT, AwareTimestamp, Timestamp
from authapp.api.schemas.pages import PageQuerySchema, PageSchema
from authapp.domain.audit import event_types


def _is_registered(name: str) -> None:
    if name not in event_types:
        raise ValidationError(f"Must be one of: {', '.join(event_types)}.")


class AuditEventSchema(Schema):
    """An audit event: who did what, to which account, when, and from where."""

    id = fields.UUID(required=True)
    type = fields.String(required=True, metadata={"examples": ["session.started"]})
    actor_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "The user who did it; `null` for a guest or for an operator on the command line."},
    )
    subject_id = fields.UUID(required=True, allow_none=True, metadata={"description": "The account it was done to."})
    session_id = fields.UUID(required=True, allow_none=True)
    ip_address = fields.String(required=True, allow_none=True, metadata={"examples": [IP_ADDRESS]})
    user_agent = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`flask CLI` for an operator, with no IP address.", "examples": [USER_AGENT]},
    )
    request_id = fields.String(
        required=True, allow_none=True, metadata={"examples": ["5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11"]}
    )
    occurred_at = Timestamp(required=True)
    details = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"description": "Further data about the event.", "examples": [{"amr": ["pwd"]}]},
    )


class AuditEventPageSchema(PageSchema):
    """A page of events, newest first."""

    items = fields.List(fields.Nested(AuditEventSchema), required=True)


class ActivityQuerySchema(PageQuerySchema):
    """The query for a page of the user's own activity."""


class AuditEventQuerySchema(PageQuerySchema):
    """The query for a page of events."""

    user_id = fields.UUID(
        load_default=None, metadata={"description": "Only events that this user caused or was the subject of."}
    )
    type = fields.String(
        load_default=None,
        validate=_is_registered,
        metadata={"description": "Only events of this type.", "enum": event_types.names},
    )
    since = AwareTimestamp(load_default=None, metadata={"description": "Only events at or after this time."})
    until = AwareTimestamp(load_default=None, metadata={"description": "Only events before this time."})
