"""Request bodies: strict JSON in, and each field error with its pointer."""

from typing import Any, NoReturn
from urllib.parse import parse_qsl

from flask import Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from authapp.database import deadline
from authapp.errors import FieldError, MalformedRequest, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from authapp.security import strict_json

MAX_BYTES = 64 * 1024
MAX_FORM_FIELDS = 20
MAX_FIELD_ERRORS = 20
"""A body of ten thousand unknown fields gets an answer, not an echo."""

_PREFIX = {"json": "#", "form": "#", "query": "#/query"}


def read_object(incoming: Request) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises ``UnsupportedMediaType`` or ``MalformedRequest``; werkzeug answers a body over the limit.
    """
    if incoming.mimetype != "application/json" or incoming.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType
    try:
        return strict_json.loads_object(_bytes_of(incoming))
    except ValueError as error:
        raise MalformedRequest(str(error)) from None


def read_form(incoming: Request) -> dict[str, str]:
    """Return the parameters of an ``application/x-www-form-urlencoded`` body (RFC 6749, appendix B).

    Raises ``UnsupportedMediaType``, or ``MalformedRequest`` when one appears twice (RFC 6749, section 3.2).
    """
    if incoming.mimetype != "application/x-www-form-urlencoded" or "Content-Encoding" in incoming.headers:
        raise UnsupportedMediaType("Send Content-Type: application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            _bytes_of(incoming).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise MalformedRequest("The body is not a form.") from None
    if len(dict(pairs)) != len(pairs):
        raise MalformedRequest("A parameter appears twice.")
    return dict(pairs)


def _bytes_of(incoming: Request) -> bytes:
    # The server undoes chunks and passes over every other coding: what it hands on then is not what was meant.
    if incoming.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise MalformedRequest("The only transfer coding that is read is chunked.")
    try:
        # The time that a slow client takes is not the database's: the server bounds it.
        with deadline.paused():
            data = incoming.get_data()
    except RequestEntityTooLarge:
        raise PayloadTooLarge from None
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each server has errors of its own for chunks that are broken, or late, or break off
        raise MalformedRequest("The body breaks off, its chunks are broken, or it took too long.") from None
    # Werkzeug refuses a declared length over its limit, and cuts a chunked body off there without a word.
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge
    return data


class StrictParser(FlaskParser):
    """Webargs, with our reading of bodies and our rendering of field errors."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "form": None, "query": RAISE}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> dict[str, Any]:
        return read_object(req)

    def load_form(self, req: Request, schema: Schema) -> dict[str, str]:
        return read_form(req)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **options: Any) -> NoReturn:
        field_errors = [
            FieldError(f"{_PREFIX[location]}/{_escaped(field)}", _sentence(messages))
            for location, fields in error.messages_dict.items()
            for field, messages in fields.items()
        ]
        raise ValidationFailed(field_errors=field_errors[:MAX_FIELD_ERRORS])


parser = StrictParser()


def _escaped(field: str) -> str:
    """Escape a member's name for a JSON pointer (RFC 6901, section 3), and keep it short."""
    return str(field)[:64].replace("~", "~0").replace("/", "~1")


def _sentence(messages: Any) -> str:
    while isinstance(messages, dict):
        messages = next(iter(messages.values()))
    return " ".join(map(str, messages)) if isinstance(messages, list) else str(messages)
