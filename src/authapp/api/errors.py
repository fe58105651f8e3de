"""Renders refusals as problem+json (RFC 9457). This is the only place that does, and has the only table of statuses."""

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from flask import Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import quote_header_value

from authapp import metrics
from authapp.api.middleware import request_id
from authapp.api.responses import as_json
from authapp.database.errors import is_outage, sqlstate
from authapp.database.reasons import reason
from authapp.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InternalError,
    Invalid,
    Malformed,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    Refusal,
    ResourceNotFound,
    ServiceUnavailable,
    TokenMissing,
    TooMany,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from authapp.shared_names import CODE

CONTENT_TYPE = "application/problem+json"

STATUS: dict[type[Refusal], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    Invalid: 422,
    TooMany: 429,
    InternalError: 500,
    Unavailable: 503,
}

_BY_STATUS: dict[int | None, Callable[[], Refusal]] = {
    401: TokenMissing,
    403: PermissionDenied,
    404: ResourceNotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    422: ValidationFailed,
    429: partial(TooManyRequests, "There were too many requests.", retry_after=1),
    500: InternalError,
    501: InternalError,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}
"""The refusal for each status of a Werkzeug exception. All others count as ``MalformedRequest``."""


def init_app(app: Flask, *, cover_all: bool) -> None:
    """Answer refusals as problem documents, and with ``cover_all`` the other errors of every route as well."""
    app.register_error_handler(Refusal, render)
    if cover_all:
        app.register_error_handler(HTTPException, render_http)
        app.register_error_handler(SQLAlchemyError, render_database)


def cover(app: Flask, blueprint: str) -> None:
    """Answer every error of a registered blueprint as a problem document, whatever ``app`` does with other errors.

    Handlers that the blueprint has stay. ``Blueprint.register_error_handler`` would add these to the blueprint in every
    application; here they are added to ``app`` alone.
    """
    # A private name of Flask's: setup.cfg keeps to its minor version, and tests of other applications fail if it moves.
    handlers = app.error_handler_spec[blueprint]
    for error, handler in ((Refusal, render), (SQLAlchemyError, render_database), (HTTPException, render_http)):
        handlers[None].setdefault(error, handler)
    # Flask looks for a handler of the status first, so without these it would find that of the application.
    for status in default_exceptions:
        handlers[status].setdefault(HTTPException, render_http)


def status_of(refusal: type[Refusal]) -> int:
    """Return the HTTP status of a refusal, which is that of its nearest base class in ``STATUS``.

    Raises ``TypeError`` if it has none.
    """
    for kind in refusal.__mro__:
        if kind in STATUS:
            return STATUS[kind]
    raise TypeError(f"{refusal.__name__} has no status: derive it from one of {[kind.__name__ for kind in STATUS]}.")


def documentation(refusal: type[Refusal]) -> str:
    """Return the docstring of a refusal, with each paragraph on one line."""
    paragraphs = inspect.cleandoc(refusal.__doc__ or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def problem_document(
    refusal: type[Refusal],
    *,
    instance: str,
    request_id: str,
    prefix: str = "",
    detail: str = "",
    field_errors: Iterable[FieldError] = (),
    members: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the members of a problem document (RFC 9457).

    ``detail`` is by default the first line of the docstring. ``prefix`` is the path below which a proxy serves this.
    """
    document = {
        **members,
        "type": f"{prefix}/problems/{refusal.code}",
        "title": refusal.title,
        "status": status_of(refusal),
        "code": refusal.code,
        "detail": detail or documentation(refusal).partition("\n")[0],
        "instance": f"{prefix}{instance}",
        "request_id": request_id,
    }
    errors = [{"pointer": error.pointer, "detail": error.detail} for error in field_errors]
    return {**document, "errors": errors} if errors else document


def render(refusal: Refusal) -> Response:
    """Return ``refusal`` as a problem+json response."""
    document = problem_document(
        type(refusal),
        instance=request.path,
        request_id=request_id(),
        prefix=request.script_root,
        detail=refusal.detail,
        field_errors=refusal.field_errors,
        members=refusal.members,
    )
    request.environ[CODE] = refusal.code
    response = as_json(document, document["status"])
    response.content_type = CONTENT_TYPE
    if isinstance(refusal, Unauthenticated):
        parameters = {"realm": "authapp", **refusal.auth_params}.items()
        quoted = (f"{name}={quote_header_value(value, allow_token=False)}" for name, value in parameters)
        challenge = ", ".join(quoted)
        # One header with all of them (RFC 9110, section 11.6.1): many clients read the first or the last header alone.
        response.headers["WWW-Authenticate"] = ", ".join(f"{scheme} {challenge}" for scheme in refusal.auth_schemes)
    if isinstance(refusal, TooMany) and refusal.quota:
        quota, wait = refusal.quota, refusal.retry_after
        response.headers["RateLimit-Policy"] = f'"{quota.name}";q={quota.amount};w={quota.seconds}'
        response.headers["RateLimit"] = f'"{quota.name}";r=0;t={wait}'
    if isinstance(refusal, Unavailable | TooMany):
        response.headers["Retry-After"] = str(refusal.retry_after or 1)
    return response


def render_http(error: HTTPException) -> Response:
    """Return an error of Werkzeug as a problem+json response, unless it brings a response of its own."""
    if isinstance(error.response, Response):
        return error.response
    refusal = _BY_STATUS.get(error.code, MalformedRequest)
    response = render(refusal())
    if "Allow" in (headers := dict(error.get_headers())):
        response.headers["Allow"] = headers["Allow"]
    return response


def render_database(error: SQLAlchemyError) -> Response:
    """Return an error of the database as a problem+json response, and log it."""
    if is_outage(error):
        metrics.DATABASE_UNAVAILABLE.inc()
        _log("the database cannot be asked", error)
        return render(ServiceUnavailable())
    _log("the database refused a statement", error)
    return render(InternalError())


def _log(event: str, error: SQLAlchemyError) -> None:
    """Log the traceback, the type, the SQLSTATE and the reason of a database error, but not its message.

    PostgreSQL's message quotes the statement, into which psycopg2 has written the values: password hashes and email
    addresses would end up in the log.
    """
    where = "".join(traceback.format_tb(error.__traceback__)[-12:])
    kind, why = type(error).__name__, reason(error) or "a bug"
    current_app.logger.error("%s: %s (%s, SQLSTATE %s), at\n%s", event, why, kind, sqlstate(error), where)
