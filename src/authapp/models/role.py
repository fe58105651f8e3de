"""Roles: named sets of permissions, and who holds them."""

import re

from sqlalchemy import ARRAY, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import db
from authapp.models.columns import Id, Key

ROLE_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ROLE_DESCRIPTION_MAX_LENGTH = 200
ROLE_DESCRIPTION_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

ADMIN = "admin"
"""The built-in role, which holds every permission, also those that are added later."""


def is_role_name(name: str) -> bool:
    """Tell whether a role can have this name."""
    return bool(re.fullmatch(ROLE_NAME_PATTERN.strip("^$"), name))


def checked_role_name(name: str) -> str:
    """Return ``name``; raises ``ValueError`` with the rule unless it keeps to it."""
    if not is_role_name(name):
        raise ValueError(
            "Must be 1 to 64 of the characters a-z, 0-9, '.', '_' and '-', and start with a letter or a digit."
        )
    return name


def checked_role_description(description: str) -> str:
    """Return ``description``; raises ``ValueError`` with the rule unless it keeps to it."""
    # One line without control characters: whoever may write roles could forge a line of `flask roles list` otherwise.
    fits = len(description) <= ROLE_DESCRIPTION_MAX_LENGTH
    if not fits or not re.fullmatch(ROLE_DESCRIPTION_PATTERN.strip("^$"), description):
        raise ValueError(
            f"Must be one line of at most {ROLE_DESCRIPTION_MAX_LENGTH} characters, without control characters."
        )
    return description


class Role(db.Model):  # type: ignore[name-defined,misc]
    """A set of permissions, each a ``resource:action``."""

    __tablename__ = "roles"

    name: Mapped[Key] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str]] = mapped_column(ARRAY(Text))


class UserRole(db.Model):  # type: ignore[name-defined,misc]
    """That a user holds a role."""

    __tablename__ = "user_roles"
    # Led by the role: the holders of one role are listed in the order of their ids, page by page.
    __table_args__ = (Index(None, "role_name", "user_id"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_name: Mapped[Key] = mapped_column(
        ForeignKey("roles.name", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
