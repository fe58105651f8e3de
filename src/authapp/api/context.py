"""Building the ``RequestContext`` that is passed to use cases."""

from flask import request

from authapp.api.authenticate import principal_or_none
from authapp.api.client import client_address, user_agent
from authapp.api.middleware import request_id
from authapp.context import RequestContext

CLIENT_GONE = "authapp.client_gone"
"""The key of the WSGI environ for a function that tells whether the client has hung up."""


def request_context() -> RequestContext:
    """Return the client's address, user agent, request id, principal (``None`` for a guest) and connection."""
    return RequestContext(
        ip_address=client_address(request.environ),
        user_agent=user_agent(request.environ),
        request_id=request_id(),
        principal=principal_or_none(),
        # Only authapp's gunicorn worker knows. Elsewhere no client counts as gone.
        client_gone=request.environ.get(CLIENT_GONE, lambda: False),
    )
