"""Tokens, as they are asked for and handed out."""

from marshmallow import Schema, fields, validate

from authapp.api.schemas.fields import NO_NUL

SECONDS = {"minimum": 0, "description": "Seconds from now."}


class LoginSchema(Schema):
    """The proof of who somebody is."""

    username = fields.String(
        required=True, metadata={**NO_NUL, "description": "The username or the email address.", "examples": ["ada"]}
    )
    password = fields.String(
        required=True,
        metadata={**NO_NUL, "format": "password", "writeOnly": True, "examples": ["a long sentence is easy to keep"]},
    )


class RefreshSchema(Schema):
    """The refresh token, where it does not travel in the header."""

    refresh_token = fields.String(metadata={**NO_NUL, "writeOnly": True})


class TokenPairSchema(Schema):
    """An access token for private routes, and a refresh token for the next pair."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"), metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(required=True, metadata=SECONDS)
    refresh_token = fields.String(required=True)
    refresh_expires_in = fields.Integer(required=True, metadata=SECONDS)
