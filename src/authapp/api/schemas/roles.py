"""Schemas of roles."""

from typing import Any

from marshmallow import Schema, fields, validate

from authapp.api.schemas.pages import PageSchema
from authapp.domain.roles.permissions import permissions as registered
from authapp.models.columns import ONE_LINE_PATTERN
from authapp.models.role import ROLE_DESCRIPTION_MAX_LENGTH, ROLE_NAME_PATTERN

ROLE_NAME_RULE = {
    "description": "1 to 64 of a-z, 0-9, dots, underscores and hyphens, starting with a letter or a digit.",
    "pattern": ROLE_NAME_PATTERN,
    "maxLength": 64,
    "examples": ["support"],
}

ROLE_DESCRIPTION_RULE = {
    "description": "One line, without control characters.",
    "pattern": ONE_LINE_PATTERN,
    "maxLength": ROLE_DESCRIPTION_MAX_LENGTH,
    "examples": ["Answers the phone."],
}


def permission_list(**options: Any) -> "fields.List[Any]":
    """Return a field for a list of permissions."""
    permission = fields.String(metadata={"enum": registered.names})
    metadata = {"examples": [["users:read"]]}
    return fields.List(permission, validate=validate.Length(max=100), metadata=metadata, **options)


def description(**options: Any) -> fields.String:
    """Return a field for a description."""
    return fields.String(metadata=ROLE_DESCRIPTION_RULE, **options)


class RoleSchema(Schema):
    """A role and its permissions."""

    name = fields.String(required=True, metadata={"examples": ["support"]})
    description = fields.String(required=True, metadata={"examples": ["Answers the phone."]})
    permissions = fields.List(fields.String(), required=True, metadata={"examples": [["users:read"]]})


class RolePageSchema(PageSchema):
    """A page of roles, sorted by name."""

    items = fields.List(fields.Nested(RoleSchema), required=True)


class RoleCreationSchema(Schema):
    """A role to create."""

    name = fields.String(required=True, metadata=ROLE_NAME_RULE)
    description = description(load_default="")
    permissions = permission_list(load_default=list)


class RoleChangeSchema(Schema):
    """Changes to a role; fields that are left out stay as they are."""

    description = description()
    permissions = permission_list()
