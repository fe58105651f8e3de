"""Schemas of logins, tokens and introspection."""

from marshmallow import EXCLUDE, Schema, fields, validate

from authapp.api.schemas.fields import NO_NUL
from authapp.domain.sessions.sessions import LogoutScope

SECONDS = {"minimum": 0, "description": "Seconds from now."}


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
    """The refresh token, if it is not sent in the `Authorization` header."""

    refresh_token = fields.String(metadata={**NO_NUL, "writeOnly": True})


class TokenPairSchema(Schema):
    """An access token for private routes, and a refresh token to get the next pair."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"), metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(required=True, metadata=SECONDS)
    refresh_token = fields.String(required=True)
    refresh_expires_in = fields.Integer(required=True, metadata=SECONDS)


class TokenSchema(Schema):
    """A token to introspect or revoke (RFC 7662, section 2.1; RFC 7009, section 2.1).

    Other parameters are ignored, as OAuth requires (RFC 6749, section 3.2): clients send `client_id` and more.
    """

    class Meta:
        unknown = EXCLUDE

    token = fields.String(required=True)
    token_type_hint = fields.String(metadata={"description": "Ignored: the token contains its type."})


class IntrospectionSchema(Schema):
    """The claims of a token and its owner (RFC 7662, section 2.2). Only `active` if the token is not valid."""

    active = fields.Boolean(required=True)
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    type = fields.String(metadata={"enum": ["access", "refresh"]})
    iss = fields.String()
    aud = fields.String()
    sub = fields.UUID()
    username = fields.String()
    roles = fields.List(fields.String())
    iat = fields.Integer()
    nbf = fields.Integer()
    exp = fields.Integer()
    jti = fields.UUID()
    sid = fields.UUID()
    client_id = fields.String()
    auth_time = fields.Integer(metadata={"description": "When the user was authenticated, in seconds since 1970."})
    amr = fields.List(fields.String(), metadata={"description": "How the user was authenticated (RFC 8176)."})


class LogoutSchema(Schema):
    """Which sessions a logout ends."""

    scope = fields.Enum(LogoutScope, by_value=True, load_default=LogoutScope.LOCAL)
