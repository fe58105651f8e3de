"""Schemas of the token endpoint (RFC 6749)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load

from authapp.api.schemas.fields import ACCESS_JWT, NO_NUL
from authapp.api.schemas.tokens import seconds

CLIENT_CREDENTIALS = "client_credentials"


class TokenRequestSchema(Schema):
    """A request for an access token (RFC 6749, section 4.4.2). Other parameters are ignored (section 3.2)."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _omit_empty(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Treat a parameter without a value as omitted, as section 3.2 says."""
        return {name: value for name, value in data.items() if value != ""}

    grant_type = fields.String(required=True, metadata={"enum": [CLIENT_CREDENTIALS]})
    scope = fields.String(
        metadata={
            **NO_NUL,
            "description": "Permissions, with blanks between them. Without it, the token allows what the key does.",
            "examples": ["users:read"],
        }
    )
    client_id = fields.String(
        metadata={**NO_NUL, "description": "If it is sent, it must be the one of the `Authorization` header."}
    )
    client_secret = fields.String(metadata={"description": "Refused: it belongs into the header."})


class KeyTokenSchema(Schema):
    """An access token for an API key (RFC 6749, section 5.1)."""

    class Meta:
        title = "ApiKeyToken"

    access_token = fields.String(required=True, metadata={"examples": [ACCESS_JWT]})
    token_type = fields.String(required=True, metadata={"enum": ["Bearer"]})
    expires_in = seconds(900)
    scope = fields.String(
        required=True, metadata={"description": "The permissions of the token.", "examples": ["users:read"]}
    )


class TokenErrorSchema(Schema):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    class Meta:
        title = "TokenError"

    error = fields.String(
        required=True,
        metadata={
            "enum": [
                "invalid_request",
                "invalid_client",
                "invalid_scope",
                "unsupported_grant_type",
                "temporarily_unavailable",
                "server_error",
            ]
        },
    )
    error_description = fields.String(required=True)
