"""Schemas of errors, as problem details (RFC 9457)."""

from marshmallow import INCLUDE, Schema, fields


class FieldErrorSchema(Schema):
    """One invalid field."""

    pointer = fields.String(
        required=True, metadata={"description": "A JSON pointer (RFC 6901).", "examples": ["#/email"]}
    )
    detail = fields.String(required=True, metadata={"examples": ["Not a valid email address."]})


class ProblemSchema(Schema):
    """Why a request was refused. Match on `code`, which is stable. Some problems have further members."""

    class Meta:
        # RFC 9457, section 3.2: clients ignore members that they do not know.
        unknown = INCLUDE

    type = fields.String(
        required=True, metadata={"format": "uri-reference", "description": "The path where this code is explained."}
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldErrorSchema))


class ExplanationSchema(Schema):
    """The explanation of one error code."""

    type = fields.String(required=True, metadata={"examples": ["/problems/token_expired"]})
    code = fields.String(required=True, metadata={"examples": ["token_expired"]})
    title = fields.String(required=True, metadata={"examples": ["The token has expired."]})
    status = fields.Integer(required=True, metadata={"examples": [401]})
    description = fields.String(required=True, metadata={"examples": ["The token has passed its expiry time."]})
