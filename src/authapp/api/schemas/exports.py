"""The schema of an export of one's own account."""

from typing import Any

from marshmallow import Schema, fields, post_dump

from authapp.api.schemas.api_keys import ApiKeyPageSchema
from authapp.api.schemas.audit_events import AuditEventPageSchema
from authapp.api.schemas.factor_kinds import FactorsSchema
from authapp.api.schemas.sessions import SessionPageSchema
from authapp.api.schemas.users import StoredUserSchema


class ExportSchema(Schema):
    """What is stored about a user."""

    user = fields.Nested(StoredUserSchema, required=True)
    factors = fields.Nested(FactorsSchema, required=True)
    sessions = fields.Nested(SessionPageSchema, required=True)
    api_keys = fields.Nested(ApiKeyPageSchema, required=True)
    activity = fields.Nested(AuditEventPageSchema, required=True)

    @post_dump(pass_original=True)
    def add_other_sections(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add the sections that are registered elsewhere, as they are."""
        return {**original, **data}
