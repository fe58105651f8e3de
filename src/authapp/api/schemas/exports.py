"""The schema of an export of one's own account."""

from marshmallow import Schema, fields

from authapp.api.schemas.api_keys import ApiKeyPageSchema
from authapp.api.schemas.audit_events import AuditEventPageSchema
from authapp.api.schemas.factors import FactorsSchema
from authapp.api.schemas.sessions import SessionPageSchema
from authapp.api.schemas.users import OwnUserSchema


class ExportSchema(Schema):
    """What is stored about a user."""

    user = fields.Nested(OwnUserSchema, required=True)
    factors = fields.Nested(FactorsSchema, required=True)
    sessions = fields.Nested(SessionPageSchema, required=True)
    api_keys = fields.Nested(ApiKeyPageSchema, required=True)
    activity = fields.Nested(AuditEventPageSchema, required=True)
