"""Schemas of logins by a provider."""

from marshmallow import Schema, fields, validate

from authapp.api.schemas.factor_kinds import factor_members
from authapp.api.schemas.fields import NO_NUL, Timestamp
from authapp.api.schemas.tokens import seconds
from authapp.domain.providers.identities import PROVIDER

FLOW = "MDEyMzQ1Njc4OWFiY2RlZgAAAABp0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
STATE = "sGvQmVd3hIzWC4mB3M1t0j6lUQ2wqZCwz2oB0sVtq2E"
REDIRECT_URI = "https://app.example.com/callback"


def _text(example: str, most: int, description: str = "") -> fields.String:
    metadata = {**NO_NUL, "minLength": 1, "maxLength": most, "examples": [example]}
    if description:
        metadata["description"] = description
    return fields.String(required=True, validate=validate.Length(1, most), metadata=metadata)


class ProviderSchema(Schema):
    """A provider."""

    name = fields.String(required=True, metadata={"examples": ["google"]})


class ProviderListSchema(Schema):
    """The providers that one can log in by."""

    items = fields.List(fields.Nested(ProviderSchema), required=True)


class RedirectSchema(Schema):
    """Where the provider sends the user back to."""

    redirect_uri = _text(REDIRECT_URI, 2048, "One of `AUTHAPP_REDIRECT_URIS`, compared exactly.")


class StartedFlowSchema(Schema):
    """Where to send the user, and what to keep until they are back."""

    authorization_url = fields.String(
        required=True,
        metadata={
            "format": "uri",
            "examples": [f"https://accounts.example.org/authorize?response_type=code&state={STATE}"],
        },
    )
    flow = fields.String(
        required=True,
        metadata={
            "description": "Keep it in the client that began, such as in `sessionStorage`. It is not for addresses.",
            "examples": [FLOW],
        },
    )
    expires_in = seconds(600)


class FlowCompletionSchema(Schema):
    """What the client kept, and the parameters with which the provider sent the user back."""

    flow = _text(FLOW, 4096)
    state = _text(STATE, 128, "It must be that of the flow: base64url of its SHA-256.")
    code = _text("SplxlOBeZQQYbYS6WxSbIA", 4096)
    iss = fields.String(
        validate=validate.Length(1, 2048),
        metadata={
            **NO_NUL,
            "minLength": 1,
            "maxLength": 2048,
            "description": "If the provider sent it (RFC 9207).",
            "examples": ["https://accounts.example.org"],
        },
    )


class ProviderIdentitySchema(Schema):
    """A user of a provider that the account is linked with."""

    provider = fields.String(required=True, metadata={"description": "Its name.", "examples": ["google"]})
    email = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What the provider told last; it may be unverified.", "examples": ["ada@example.org"]},
    )
    linked_at = Timestamp(required=True)
    last_login_at = Timestamp(required=True, allow_none=True)


factor_members[PROVIDER] = fields.List(fields.Nested(ProviderIdentitySchema))
