"""Audit events, as they are shown and as they are asked for."""

from marshmallow import Schema, ValidationError, fields

from authapp.api.schemas.fields import AwareTimestamp, Timestamp
from authapp.api.schemas.pages import PageQuerySchema, PageSchema
from authapp.domain.audit import event_types


def _is_registered(name: str) -> None:
    if name not in event_types:
        raise ValidationError(f"Must be one of: {', '.join(event_types)}.")


class AuditEventSchema(Schema):
    """Something that happened: who did it, to whom, when, and from where."""

    id = fields.UUID(required=True)
    type = fields.String(required=True, metadata={"examples": ["session.started"]})
    actor_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "Who did it; `null` for a guest, and for an operator on the command line."},
    )
    subject_id = fields.UUID(required=True, allow_none=True, metadata={"description": "The account it was done to."})
    session_id = fields.UUID(required=True, allow_none=True)
    ip_address = fields.String(required=True, allow_none=True)
    user_agent = fields.String(
        required=True, allow_none=True, metadata={"description": "`flask CLI`, without an address, for an operator."}
    )
    request_id = fields.String(required=True, allow_none=True)
    occurred_at = Timestamp(required=True)
    details = fields.Dict(keys=fields.String(), required=True, metadata={"description": "What else there is to tell."})


class AuditEventPageSchema(PageSchema):
    """A page of events, the newest first."""

    items = fields.List(fields.Nested(AuditEventSchema), required=True)


class ActivityQuerySchema(PageQuerySchema):
    """Which page of the caller's own activity."""


class AuditEventQuerySchema(PageQuerySchema):
    """Which events."""

    user_id = fields.UUID(
        load_default=None, metadata={"description": "What was done to this user, and what they did to others."}
    )
    type = fields.String(load_default=None, validate=_is_registered, metadata={"enum": event_types.names})
    since = AwareTimestamp(load_default=None, metadata={"description": "Events from this time on."})
    until = AwareTimestamp(load_default=None, metadata={"description": "Events before this time."})
