"""Responses that no schema describes."""

from flask import Response


def no_content() -> Response:
    """Return a 204, which has neither a body nor a type of one."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response
