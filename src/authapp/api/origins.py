"""Where a request comes from, as the use cases want to know it."""

from flask import request

from authapp.api.headers import request_id
from authapp.domain.callers import Caller
from authapp.domain.origins import Origin


def origin(caller: Caller | None = None) -> Origin:
    """Return where this request comes from; ``caller`` is who makes it, unless it is a guest."""
    return Origin(request.remote_addr, request.headers.get("User-Agent"), request_id(), caller)
