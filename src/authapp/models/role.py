"""Roles: named sets of permissions, and which users have them."""

from sqlalchemy import ARRAY, ColumnElement, ForeignKey, Index, Text, event, literal, select, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, ORMExecuteState, mapped_column, with_loader_criteria

from authapp.database.session import Model, db
from authapp.models.columns import ONE_LINE_PATTERN, Id, Key, Timestamp, matches

ROLE_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ROLE_DESCRIPTION_MAX_LENGTH = 200

ROLES_PER_ACCOUNT = 50
"""The most roles that an account has: each request reads all of them."""

ADMIN = "admin"
"""The built-in role. It has every permission, including those that are added later."""


def is_role_name(name: str) -> bool:
    """Return whether ``name`` is a valid name for a role."""
    return matches(ROLE_NAME_PATTERN, name)


def checked_role_name(name: str) -> str:
    """Return ``name``. Raises ``ValueError``, with the rule as its message, if ``name`` is not a valid role name."""
    if not is_role_name(name):
        raise ValueError(
            "Must be 1 to 64 of the characters a-z, 0-9, '.', '_' and '-', and start with a letter or a digit."
        )
    return name


def checked_role_description(description: str) -> str:
    """Return ``description``. Raises ``ValueError``, with the rule as its message, if it is not valid."""
    fits = len(description) <= ROLE_DESCRIPTION_MAX_LENGTH
    if not fits or not matches(ONE_LINE_PATTERN, description):
        raise ValueError(
            f"Must be one line of at most {ROLE_DESCRIPTION_MAX_LENGTH} characters, without control characters."
        )
    return description


class Role(Model):
    """A named set of permissions, each written as ``resource:action``.

    A role with ``deleted_at`` is deleted: nobody has it, and nobody can be given it. Its row stays, without its
    permissions, until all rows of ``user_roles`` that name it have been removed, so that a new role of this name has no
    old holders.
    """

    __tablename__ = "roles"
    # The deleted roles are few, and are found without reading the others.
    __table_args__ = (Index(None, "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),)

    name: Mapped[Key] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str]] = mapped_column(ARRAY(Text))
    deleted_at: Mapped[Timestamp | None] = mapped_column(default=None)

    @hybrid_property
    def is_live(self) -> bool:
        """Whether the role is not deleted; of the class, the SQL condition for it."""
        return self.deleted_at is None

    @is_live.inplace.expression
    @classmethod
    def _is_live(cls) -> ColumnElement[bool]:
        return cls.deleted_at.is_(None)


class UserRole(Model):
    """One role of one user."""

    __tablename__ = "user_roles"
    # The role comes first, so that the users with one role can be listed page by page, in the order of their ids.
    __table_args__ = (Index(None, "role_name", "user_id"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_name: Mapped[Key] = mapped_column(
        ForeignKey("roles.name", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )


def is_live_role(name: str) -> ColumnElement[bool]:
    """Return the condition that there is a role of this name, and that it is not deleted: one look-up by key."""
    live = select(literal(value=True)).where(Role.name == name, Role.is_live)
    return live.scalar_subquery().is_not(None)


# The condition reads only the few roles that are deleted, and once for all rows.
_IS_OF_LIVE_ROLE = with_loader_criteria(UserRole, UserRole.role_name.not_in(select(Role.name).where(~Role.is_live)))


@event.listens_for(db.session, "do_orm_execute")
def _hide_holders_of_deleted_roles(state: ORMExecuteState) -> None:
    """Hide the rows of ``user_roles`` whose role is deleted from each SELECT of a session, until they are removed.

    What goes around the ORM asks for ``Role.is_live`` or ``is_live_role`` itself: a statement on a connection, such as
    a bounded scan or the prepared one that authenticates a request, and one on the table ``UserRole.__table__``.
    """
    if state.is_select and not state.is_column_load and not state.is_relationship_load:
        state.statement = state.statement.options(_IS_OF_LIVE_ROLE)
