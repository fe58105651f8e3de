"""Schemas of paged lists."""

from marshmallow import Schema, fields, validate

from authapp.security.cursors import MAX_LENGTH

MAX_LIMIT = 100


class PageQuerySchema(Schema):
    """The query for a page of a list."""

    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, MAX_LIMIT), metadata={"description": "The maximum number of items."}
    )
    cursor = fields.String(
        load_default=None,
        validate=[validate.Length(1, MAX_LENGTH), validate.Regexp(r"[A-Za-z0-9_.-]+\Z")],
        metadata={"description": "`next_cursor` of the previous page; the filters must be the same."},
    )


class PageSchema(Schema):
    """A page of a list."""

    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The cursor of the next page; `null` at the end. A page may be empty before the end.",
            "examples": [None],
        },
    )
