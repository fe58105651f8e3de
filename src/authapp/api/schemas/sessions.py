"""Schemas of sessions, as shown to their owner."""

from marshmallow import Schema, fields

from authapp.api.schemas.fields import IP_ADDRESS, USER_AGENT, Timestamp
from authapp.api.schemas.pages import PageSchema


class SessionSchema(Schema):
    """One login on one device."""

    id = fields.UUID(required=True)
    current = fields.Boolean(required=True, metadata={"description": "Whether this request's token belongs to it."})
    created_at = Timestamp(required=True)
    last_used_at = Timestamp(required=True, metadata={"description": "When its tokens were last issued."})
    expires_at = Timestamp(
        required=True,
        metadata={
            "description": "When it ends, however often it is refreshed.",
            "examples": ["2026-05-01T09:30:00.000Z"],
        },
    )
    ip_address = fields.String(required=True, allow_none=True, metadata={"examples": [IP_ADDRESS]})
    user_agent = fields.String(required=True, allow_none=True, metadata={"examples": [USER_AGENT]})
    amr = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "How the user was authenticated (RFC 8176).", "examples": [["pwd"]]},
    )
    acr = fields.String(
        required=True, metadata={"enum": ["sfa", "mfa"], "description": "Whether by one factor or by more (RFC 9470)."}
    )
    auth_time = Timestamp(required=True, metadata={"description": "When the user was last authenticated in it."})


class SessionPageSchema(PageSchema):
    """A page of the live sessions of a user, most recently used first."""

    items = fields.List(fields.Nested(SessionSchema), required=True)
