"""Schemas of users and their queries."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_dump, post_load, validate, validates_schema

from authapp import clock
from authapp.api.schemas.fields import NO_NUL, Timestamp
from authapp.api.schemas.pages import PageQuerySchema, PageSchema
from authapp.api.schemas.roles import ROLE_NAME_RULE
from authapp.domain.passwords.checks import MAX_LENGTH, MIN_LENGTH
from authapp.models.role import ROLE_NAME_PATTERN, ROLES_PER_ACCOUNT
from authapp.models.user import EMAIL_MAX_LENGTH, USERNAME_PATTERN, UserKind, UserStatus

USERNAME_RULE = {
    "description": "3 to 32 letters, digits, dots, underscores and hyphens, starting with a letter or a digit; "
    "unique in any letter case.",
    "pattern": USERNAME_PATTERN,
    "minLength": 3,
    "maxLength": 32,
    "examples": ["ada"],
}
EMAIL_RULE = {
    "description": "Unique in any letter case.",
    "format": "email",
    "maxLength": EMAIL_MAX_LENGTH,
    "examples": ["ada@example.com"],
}
PASSWORD_RULE = {
    **NO_NUL,
    "description": "Any characters. The length is counted in code points, and nothing is trimmed. Common passwords are "
    "refused, and so are passwords that contain the username or the name in the email address. Passwords from data "
    "breaches are refused if the service has a list of them.",
    "format": "password",
    "minLength": MIN_LENGTH,
    "maxLength": MAX_LENGTH,
    "writeOnly": True,
    "examples": ["a long sentence is easy to keep"],
}


KNOWN_PASSWORD = {
    **NO_NUL,
    "format": "password",
    "writeOnly": True,
    "examples": ["a long sentence is easy to keep"],
}


_ROLE_NAME = validate.Regexp(ROLE_NAME_PATTERN.replace("$", r"\Z"))


class UserSchema(Schema):
    """A user, without secrets."""

    class Meta:
        title = "User"

    id = fields.UUID(required=True, metadata={"examples": ["019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77"]})
    kind = fields.String(
        required=True,
        validate=validate.OneOf([kind.value for kind in UserKind]),
        metadata={"description": "`service` for an account that uses API keys alone.", "examples": ["person"]},
    )
    username = fields.String(required=True, metadata={"examples": ["ada"]})
    email = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "format": "email",
            "description": "`null` for a service account alone.",
            "examples": ["ada@example.com"],
        },
    )
    email_verified_at = Timestamp(required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in UserStatus]))
    roles = fields.List(fields.String(), required=True, metadata={"examples": [["support"]]})
    created_at = Timestamp(required=True)
    updated_at = Timestamp(required=True)
    last_login_at = Timestamp(required=True, allow_none=True)


class PendingEmail(fields.String):
    """The address of ``pending_email``, until ``pending_email_until``."""

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        until = obj.pending_email_until
        return value if until is not None and until > clock.now() else None


class StoredUserSchema(UserSchema):
    """What is stored about a user, for the user alone."""

    class Meta:
        title = "StoredUser"

    pending_email = PendingEmail(
        required=True,
        allow_none=True,
        metadata={
            "format": "email",
            "description": "An address that the user asked for and has not confirmed.",
            "examples": ["countess@example.com"],
        },
    )


class OwnUserSchema(StoredUserSchema):
    """A user, for the user alone, and what the credential of the request allows."""

    class Meta:
        title = "OwnUser"

    permissions = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What the credential of the request allows.", "examples": [["users:read"]]},
    )

    @post_dump
    def sort_permissions(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the rest with the permissions by name: they are a set."""
        return {**data, "permissions": sorted(data["permissions"])}


class RegistrationSchema(Schema):
    """An account to register."""

    username = fields.String(required=True, metadata=USERNAME_RULE)
    email = fields.String(required=True, metadata=EMAIL_RULE)
    password = fields.String(required=True, metadata=PASSWORD_RULE)


class RenameSchema(Schema):
    """Changes that users make to their own account."""

    username = fields.String(metadata=USERNAME_RULE)


class PasswordChangeSchema(Schema):
    """The current password, and the new one."""

    current_password = fields.String(required=True, metadata=KNOWN_PASSWORD)
    new_password = fields.String(required=True, metadata=PASSWORD_RULE)


class ConfirmationSchema(Schema):
    """The password, which confirms that the request comes from the owner. Not needed for an account without one."""

    password = fields.String(metadata=KNOWN_PASSWORD)


def _role_names(**options: Any) -> "fields.List[Any]":
    name = fields.String(validate=_ROLE_NAME, metadata=ROLE_NAME_RULE)
    return fields.List(name, validate=validate.Length(max=ROLES_PER_ACCOUNT), **options)


class UserCreationSchema(Schema):
    """An account that an administrator creates."""

    username = fields.String(required=True, metadata=USERNAME_RULE)
    kind = fields.Enum(
        UserKind,
        by_value=True,
        load_default=UserKind.PERSON,
        metadata={
            "description": "A person has an email address and a password. A service has neither, and uses API keys."
        },
    )
    email = fields.String(metadata=EMAIL_RULE)
    password = fields.String(metadata=PASSWORD_RULE)
    roles = _role_names(load_default=list)

    @validates_schema
    def validate_kind(self, data: dict[str, Any], **_: Any) -> None:
        """Require what a person has, and refuse it for a service."""
        is_person = data.get("kind", UserKind.PERSON) == UserKind.PERSON
        errors = {
            name: ["Missing data for required field." if is_person else "A service account has none."]
            for name in ("email", "password")
            if (name in data) != is_person
        }
        if errors:
            raise ValidationError(errors)

    @post_load
    def drop_kind(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the rest: without an address, it is the account of a service."""
        del data["kind"]
        return data


class UserChangeSchema(RenameSchema):
    """Changes that administrators make to an account; fields that are left out stay as they are."""

    email = fields.String(metadata=EMAIL_RULE)
    status = fields.Enum(UserStatus, by_value=True)
    roles = _role_names(metadata={"description": "The complete new list; roles that are not in it are revoked."})


class UserQuerySchema(PageQuerySchema):
    """The query for a page of users."""

    q = fields.String(
        load_default=None,
        validate=[validate.Length(1, EMAIL_MAX_LENGTH), validate.ContainsNoneOf("\0", error="Must not hold a NUL.")],
        metadata={**NO_NUL, "description": "The start of the username or email address; case is ignored."},
    )
    role = fields.String(
        load_default=None,
        validate=_ROLE_NAME,
        metadata={"description": "Only users with this role."},
    )
    status = fields.Enum(
        UserStatus, by_value=True, load_default=None, metadata={"description": "Only users with this status."}
    )
    email_verified = fields.Boolean(
        load_default=None,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Only users whose address is verified, or is not.", "examples": [True]},
    )


class UserPageSchema(PageSchema):
    """A page of users, in descending order of their ids; with `q`, sorted by the matching username or email address."""

    items = fields.List(fields.Nested(UserSchema), required=True)
