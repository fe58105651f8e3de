"""Audit events, as they are shown and as they are asked for."""

from marshmallow import Schema, fields

from authapp.api.schemas.fields import Moment, Timestamp
from authapp.api.schemas.pages import PageQuerySchema, PageSchema
from authapp.models import EventType

TYPES = [event.value for event in EventType]


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
    """Which page of one's own activity."""


class AuditEventQuerySchema(PageQuerySchema):
    """Which events."""

    user_id = fields.UUID(
        load_default=None, metadata={"description": "What was done to this user, and what they did to others."}
    )
    type = fields.Enum(EventType, by_value=True, load_default=None)
    since = Moment(load_default=None, metadata={"description": "The first moment that counts."})
    until = Moment(load_default=None, metadata={"description": "The first moment that counts no more."})
