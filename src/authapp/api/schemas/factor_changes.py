"""Schemas that all changes of factors share."""

from typing import Any

from marshmallow import Schema, fields, validate

from authapp.domain.sessions.sessions import LogoutScope


class NoMembersSchema(Schema):
    """Nothing."""


class KeptSessionsSchema(Schema):
    """What happens to the other sessions of the account."""

    sessions = fields.String(
        validate=validate.Equal("keep"),
        metadata={
            "enum": ["keep"],
            "description": "`keep` does not end the other sessions. When the last second factor goes, they end anyway.",
        },
    )


def ended_scope(query: dict[str, Any]) -> LogoutScope | None:
    """Return which sessions a change of factors ends, as the query says."""
    return None if query.get("sessions") == "keep" else LogoutScope.OTHERS
