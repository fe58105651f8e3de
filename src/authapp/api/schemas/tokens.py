"""Schemas of logins, tokens and introspection."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_dump, validate

from authapp.api.refresh_cookie import move_to_cookie
from authapp.api.schemas.fields import ACCESS_JWT, NO_NUL, REFRESH_JWT
from authapp.domain.sessions.sessions import LogoutScope


def seconds(example: int) -> fields.Integer:
    """Return a field for a time in seconds from now."""
    metadata = {"minimum": 0, "description": "Seconds from now.", "examples": [example]}
    return fields.Integer(required=True, metadata=metadata)


class LoginSchema(Schema):
    """The name and the password of an account."""

    username = fields.String(
        required=True,
        metadata={
            **NO_NUL,
            "description": "The username or the email address. Blanks around it are ignored.",
            "examples": ["ada"],
        },
    )
    password = fields.String(
        required=True,
        metadata={**NO_NUL, "format": "password", "writeOnly": True, "examples": ["a long sentence is easy to keep"]},
    )


class RefreshSchema(Schema):
    """A refresh token to exchange."""

    refresh_token = fields.String(required=True, metadata={**NO_NUL, "writeOnly": True, "examples": [REFRESH_JWT]})


class TokenPairSchema(Schema):
    """An access token for private routes, and a refresh token to get the next pair."""

    @post_dump
    def _move_to_cookie(self, pair: dict[str, Any], **_options: Any) -> dict[str, Any]:
        # Here, so that no login that is added later forgets it.
        return move_to_cookie(pair)

    access_token = fields.String(required=True, metadata={"examples": [ACCESS_JWT]})
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"), metadata={"enum": ["Bearer"]})
    expires_in = seconds(900)
    refresh_token = fields.String(required=True, metadata={"examples": [REFRESH_JWT]})
    refresh_expires_in = seconds(2_592_000)


class TokenSchema(Schema):
    """A token to introspect or revoke (RFC 7662, section 2.1; RFC 7009, section 2.1).

    Other parameters are ignored, as OAuth requires (RFC 6749, section 3.2): clients send `client_id` and more.
    """

    class Meta:
        unknown = EXCLUDE

    token = fields.String(required=True, metadata={"examples": [ACCESS_JWT]})
    token_type_hint = fields.String(
        metadata={"description": "Ignored: the token contains its type.", "examples": ["access_token"]}
    )


class IntrospectionSchema(Schema):
    """The claims of a token and its owner (RFC 7662, section 2.2). Only `active` if the token is not valid."""

    active = fields.Boolean(required=True)
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    type = fields.String(metadata={"enum": ["access", "refresh"]})
    iss = fields.String(metadata={"examples": ["https://auth.example.com"]})
    aud = fields.String(metadata={"examples": ["authapp"]})
    sub = fields.UUID()
    username = fields.String(metadata={"examples": ["ada"]})
    roles = fields.List(fields.String(), metadata={"examples": [["support"]]})
    email_verified = fields.Boolean(
        metadata={"description": "Whether the email address of the owner is verified.", "examples": [True]}
    )
    iat = fields.Integer(metadata={"examples": [1769851800]})
    nbf = fields.Integer(metadata={"examples": [1769851800]})
    exp = fields.Integer(metadata={"examples": [1769852700]})
    jti = fields.UUID()
    sid = fields.UUID()
    akid = fields.UUID(metadata={"description": "The API key, in place of a session."})
    scope = fields.String(
        metadata={"description": "The permissions of an API key, or of its token.", "examples": ["users:read"]}
    )
    client_id = fields.String(metadata={"examples": ["authapp"]})
    auth_time = fields.Integer(
        metadata={"description": "When the user was authenticated, in seconds since 1970.", "examples": [1769851800]}
    )
    amr = fields.List(
        fields.String(),
        metadata={"description": "How the user was authenticated (RFC 8176).", "examples": [["pwd"]]},
    )
    acr = fields.String(
        metadata={"enum": ["sfa", "mfa"], "description": "Whether by one factor or by more (RFC 9470)."}
    )


class LogoutSchema(Schema):
    """Which sessions a logout ends."""

    scope = fields.Enum(
        LogoutScope,
        by_value=True,
        load_default=LogoutScope.LOCAL,
        metadata={"description": "`local` is the current session, `others` all but it, and `global` all."},
    )
