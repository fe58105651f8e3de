"""The schema of an export of one's own account."""

from typing import Any

from marshmallow import Schema, fields, post_dump

from authapp.api.schemas.api_keys import ApiKeyPageSchema
from authapp.api.schemas.audit_events import AuditEventPageSchema
from authapp.api.schemas.factor_kinds import FactorsSchema
from authapp.api.schemas.fields import Timestamp
from authapp.api.schemas.sessions import SessionPageSchema
from authapp.api.schemas.users import StoredUserSchema


class PreviousEmailSchema(Schema):
    """An address that the account had before."""

    class Meta:
        title = "PreviousEmail"

    email = fields.String(required=True, metadata={"format": "email", "examples": ["ada@example.org"]})
    replaced_at = Timestamp(required=True)
    restorable_until = Timestamp(
        required=True, metadata={"description": "Until then, the link in the mail to the address restores it."}
    )


class ExportSchema(Schema):
    """What is stored about a user."""

    user = fields.Nested(StoredUserSchema, required=True)
    previous_emails = fields.List(fields.Nested(PreviousEmailSchema), required=True)
    factors = fields.Nested(FactorsSchema, required=True)
    sessions = fields.Nested(SessionPageSchema, required=True)
    api_keys = fields.Nested(ApiKeyPageSchema, required=True)
    activity = fields.Nested(AuditEventPageSchema, required=True)

    @post_dump(pass_original=True)
    def add_other_sections(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add the sections that are registered elsewhere, as they are."""
        return {**original, **data}
