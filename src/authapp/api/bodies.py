"""Request bodies: strict JSON in, and each fault named by its pointer."""

from typing import Any, NoReturn

from flask import Request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from authapp.errors import Fault, MalformedRequest, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from authapp.security import strict_json

MAX_BYTES = 64 * 1024
MAX_FAULTS = 20
"""A body of ten thousand unknown fields gets an answer, not an echo."""

_PREFIX = {"json": "#", "query": "#/query"}


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


def _bytes_of(incoming: Request) -> bytes:
    try:
        data = incoming.get_data()
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each server has errors of its own for chunks that are broken or break off
        raise MalformedRequest("The body breaks off, or its chunks are broken.") from None
    # Werkzeug refuses a declared length over its limit, and cuts a chunked body off there without a word.
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge
    return data


class StrictParser(FlaskParser):
    """Webargs, with our reading of JSON and our rendering of faults."""

    def load_json(self, req: Request, schema: Schema) -> dict[str, Any]:
        return read_object(req)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **options: Any) -> NoReturn:
        faults = [
            Fault(f"{_PREFIX[location]}/{_escaped(field)}", _sentence(messages))
            for location, fields in error.messages_dict.items()
            for field, messages in fields.items()
        ]
        raise ValidationFailed(faults=faults[:MAX_FAULTS])


parser = StrictParser()


def _escaped(field: str) -> str:
    """Escape a member's name for a JSON pointer (RFC 6901, section 3), and keep it short."""
    return str(field)[:64].replace("~", "~0").replace("/", "~1")


def _sentence(messages: Any) -> str:
    while isinstance(messages, dict):
        messages = next(iter(messages.values()))
    return " ".join(map(str, messages)) if isinstance(messages, list) else str(messages)
