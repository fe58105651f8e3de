"""Lists, a page at a time."""

from marshmallow import Schema, fields, validate

from authapp.security.cursors import MAX_LENGTH

MAX_LIMIT = 100


class PageQuerySchema(Schema):
    """Which page of a list."""

    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, MAX_LIMIT), metadata={"description": "How many items at most."}
    )
    cursor = fields.String(
        load_default=None,
        validate=[validate.Length(1, MAX_LENGTH), validate.Regexp(r"[A-Za-z0-9_.-]+\Z")],
        metadata={
            "description": "`next_cursor` of the page before; with the same filters.",
            "pattern": "^[A-Za-z0-9_.-]+$",
        },
    )


class PageSchema(Schema):
    """A page of a list."""

    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Leads to the next page, also from one that is short or empty; `null` at the end."},
    )
