"""Schemas of API keys."""

from uuid import UUID

from marshmallow import Schema, fields, validate

from authapp.api.schemas.fields import NO_NUL, AwareTimestamp, Timestamp
from authapp.api.schemas.pages import PageSchema
from authapp.domain.api_keys.api_keys import NewApiKey
from authapp.models.api_key import NAME_MAX_LENGTH
from authapp.models.columns import ONE_LINE_PATTERN
from authapp.security import api_keys

MAX_PERMISSIONS = 100
PREFIX = api_keys.prefix_of(UUID("019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77"), UUID("019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a78"))
KEY = f"{PREFIX}{'0' * 49}"
"""For the examples of the OpenAPI document: its checksum is wrong, so that no scanner takes it for a key."""

_NAME_RULE = {
    "description": "Who or what uses the key: 1 to 64 characters, without control characters.",
    "pattern": ONE_LINE_PATTERN,
    "minLength": 1,
    "maxLength": NAME_MAX_LENGTH,
    "examples": ["nightly backup"],
}


class ApiKeyRequestSchema(Schema):
    """A key to make."""

    name = fields.String(
        required=True,
        validate=[validate.Length(1, NAME_MAX_LENGTH), validate.Regexp(ONE_LINE_PATTERN.replace("$", r"\Z"))],
        metadata=_NAME_RULE,
    )
    permissions = fields.List(
        fields.String(metadata={**NO_NUL, "examples": ["users:read"]}),
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=MAX_PERMISSIONS),
        metadata={
            "description": "What the key may do, as far as its owner may. Without them, it may do all that its owner "
            "may, now and later.",
            "examples": [["users:read"]],
        },
    )
    expires_at = AwareTimestamp(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "When the key ends. Without it, the key lives until it is deleted.",
            "examples": ["2027-05-01T09:30:00.000Z"],
        },
    )


class ApiKeySchema(Schema):
    """An API key, without its secret."""

    class Meta:
        title = "ApiKey"

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"examples": ["nightly backup"]})
    prefix = fields.String(
        required=True,
        metadata={"description": "The part of the key that is no secret.", "examples": [PREFIX]},
    )
    permissions = fields.List(
        fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "`null` for all that its owner may.", "examples": [["users:read"]]},
    )
    created_at = Timestamp(required=True)
    last_used_at = Timestamp(
        required=True, allow_none=True, metadata={"description": "Right to a minute or two; `null` if it never was."}
    )
    expires_at = Timestamp(required=True, allow_none=True)


class NewApiKeySchema(ApiKeySchema):
    """A new API key. The key itself is not shown again."""

    class Meta:
        title = "NewApiKey"

    key = fields.String(
        required=True,
        metadata={"pattern": f"^{api_keys.PATTERN}$", "readOnly": True, "examples": [KEY]},
    )

    def get_attribute(self, obj: NewApiKey, attr: str, default: object) -> object:
        """Return the key itself, or what is stored of it."""
        return obj.secret if attr == "key" else super().get_attribute(obj.row, attr, default)


class ApiKeyPageSchema(PageSchema):
    """A page of the API keys of an account, newest first."""

    items = fields.List(fields.Nested(ApiKeySchema), required=True)
