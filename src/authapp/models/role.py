"""Roles: named sets of permissions, and who holds them."""

from sqlalchemy import ARRAY, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from authapp.extensions import db
from authapp.models.columns import Id, Key

ADMIN = "admin"
"""The built-in role, which holds every permission, also those that are added later."""


class Role(db.Model):  # type: ignore[name-defined,misc]
    """A set of permissions, each a ``resource:action``."""

    __tablename__ = "roles"

    name: Mapped[Key] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str]] = mapped_column(ARRAY(Text))


class UserRole(db.Model):  # type: ignore[name-defined,misc]
    """That a user holds a role."""

    __tablename__ = "user_roles"

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_name: Mapped[Key] = mapped_column(
        ForeignKey("roles.name", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True, index=True
    )
