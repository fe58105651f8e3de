"""Reading request bodies as strict JSON or forms, and reporting each field error with its JSON pointer."""

from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from flask import Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from authapp.api import middleware
from authapp.database import deadline
from authapp.errors import (
    FieldError,
    MalformedRequest,
    PayloadTooLarge,
    Refusal,
    UnsupportedMediaType,
    ValidationFailed,
)
from authapp.security import strict_json

MAX_BYTES = 64 * 1024
MAX_FORM_FIELDS = 20
MAX_FIELD_ERRORS = 20
"""The most field errors in one response, so that a body with ten thousand unknown fields gets a short answer."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""The methods that change nothing (RFC 9110, section 9.2.1)."""

_OUTCOME = "authapp.body"
"""Where the WSGI environment has the bytes of the body that was read, or the refusal that reading it ended with."""

_PREFIX = {"json": "#", "form": "#", "query": "#/query"}


def limit(incoming: Request) -> None:
    """Let Werkzeug read one byte more than allowed, to detect a larger body."""
    incoming.max_content_length = MAX_BYTES + 1


def announces_body(incoming: Request) -> bool:
    """Tell whether the headers announce a body, which may still turn out to be empty."""
    return bool(incoming.content_length) or "Transfer-Encoding" in incoming.headers


def has_body(incoming: Request) -> bool:
    """Tell whether the request has at least one byte of a body, however it is framed: an empty chunked body is none.

    Raises ``MalformedRequest`` or ``PayloadTooLarge``.
    """
    if incoming.content_length is not None:
        return incoming.content_length > 0
    return "Transfer-Encoding" in incoming.headers and bool(_bytes_of(incoming))


def receive(incoming: Request) -> bool:
    """Wait for the whole body of a covered request that may write; return whether this call read it.

    Call it before you ask whether a credential is still good. A body may take ten seconds, and what was taken away
    while it was on the way must not be used for the write. The view finds the body as if nobody had read it. If the
    body is too large or breaks off, nothing is raised before the view reads it: a bad credential is reported first.
    """
    if not is_on_the_way(incoming):
        return False
    _outcome(incoming)
    return True


def is_on_the_way(incoming: Request) -> bool:
    """Tell whether ``receive`` would wait for the body."""
    if incoming.method in SAFE_METHODS or _OUTCOME in incoming.environ or not middleware.is_covered(incoming.environ):
        return False
    return announces_body(incoming)


def read_object(incoming: Request) -> dict[str, Any]:
    """Return the JSON object in the body; an empty one if there is no body, and none is announced as JSON.

    Raises ``UnsupportedMediaType``, ``MalformedRequest`` or ``PayloadTooLarge``.
    """
    if incoming.mimetype != "application/json" and not has_body(incoming):
        return {}
    if incoming.mimetype != "application/json" or _is_compressed(incoming):
        raise UnsupportedMediaType
    try:
        return strict_json.loads_object(_bytes_of(incoming))
    except ValueError as error:
        raise MalformedRequest(str(error)) from None


def read_form(incoming: Request) -> dict[str, str]:
    """Return the parameters of an ``application/x-www-form-urlencoded`` body (RFC 6749, appendix B).

    An empty body has none.

    Raises ``UnsupportedMediaType``, ``PayloadTooLarge``, or ``MalformedRequest``, which includes a repeated parameter
    (RFC 6749, section 3.2).
    """
    if not has_body(incoming):
        return {}
    if incoming.mimetype != "application/x-www-form-urlencoded" or _is_compressed(incoming):
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


def _is_compressed(incoming: Request) -> bool:
    return incoming.headers.get("Content-Encoding", "identity").lower() != "identity"


def _bytes_of(incoming: Request) -> bytes:
    outcome = incoming.environ.get(_OUTCOME) or _outcome(incoming)
    if isinstance(outcome, Exception):
        raise outcome.with_traceback(None)
    data: bytes = outcome
    return data


def _outcome(incoming: Request) -> bytes | Exception:
    """Read the body, and let the view find it as if nobody had: its bytes, or the refusal in place of a part of it."""
    limit(incoming)
    outcome: bytes | Exception
    try:
        outcome = _read(incoming)
        incoming.stream = BytesIO(outcome)
    except (Refusal, HTTPException) as error:
        outcome = error
        incoming.stream = BufferedReader(_BrokenBody(error))
    incoming.environ[_OUTCOME] = outcome
    return outcome


class _BrokenBody(RawIOBase):
    """A body that could not be read to its end. Its first part is never given out, because it may look complete."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> NoReturn:
        raise self._error.with_traceback(None)


def _read(incoming: Request) -> bytes:
    # The server decodes only chunked bodies and ignores every other coding, so it would pass on undecoded bytes.
    if incoming.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise MalformedRequest("The only transfer coding that is read is chunked.")
    try:
        # Waiting for a slow client does not count against the database's deadline. The server has a timeout for it.
        with deadline.paused():
            data = incoming.get_data(cache=False)
    except RequestEntityTooLarge:
        raise PayloadTooLarge from None
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each server raises its own errors for chunks that are broken, late or cut off
        raise MalformedRequest("The body breaks off, its chunks are broken, or it took too long.") from None
    # Werkzeug refuses a Content-Length over its limit, but silently truncates a chunked body at the limit.
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge
    return data


class StrictParser(FlaskParser):
    """The webargs parser, with strict reading of bodies, and field errors raised as ``ValidationFailed``."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "form": None, "query": RAISE}  # noqa: RUF012 - webargs has it in the class

    def load_json(self, req: Request, schema: Schema) -> dict[str, Any]:
        return read_object(req)

    def load_form(self, req: Request, schema: Schema) -> dict[str, str]:
        return read_form(req)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        if repeated:
            errors = [FieldError(f"#/query/{_escaped(name)}", "It appears more than once.") for name in repeated]
            raise ValidationFailed(field_errors=errors[:MAX_FIELD_ERRORS])
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **options: Any) -> NoReturn:
        field_errors = [
            FieldError(f"{_PREFIX[location]}/{_escaped(field)}", _sentence(messages))
            for location, fields in error.messages_dict.items()
            for field, messages in fields.items()
        ]
        raise ValidationFailed(field_errors=field_errors[:MAX_FIELD_ERRORS])


parser = StrictParser()


def _escaped(field: str) -> str:
    """Return ``field`` escaped for a JSON pointer (RFC 6901, section 3), from at most 64 characters."""
    return str(field)[:64].replace("~", "~0").replace("/", "~1")


def _sentence(messages: Any) -> str:
    while isinstance(messages, dict):
        messages = next(iter(messages.values()))
    return " ".join(map(str, messages)) if isinstance(messages, list) else str(messages)
