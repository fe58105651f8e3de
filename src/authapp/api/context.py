"""Building the ``RequestContext`` that is passed to use cases."""

from flask import request

from authapp.api.authenticate import principal_or_none
from authapp.api.client import client_address, user_agent
from authapp.api.middleware import request_id
from authapp.context import RequestContext


def request_context() -> RequestContext:
    """Return the client's address, user agent, request id and principal; the principal is ``None`` for a guest."""
    return RequestContext(
        ip_address=client_address(request.environ),
        user_agent=user_agent(request.environ),
        request_id=request_id(),
        principal=principal_or_none(),
    )
