"""Building the ``RequestContext`` that is passed to use cases."""

import re

from flask import request

from authapp.api.authenticate import principal_or_none
from authapp.api.client import client_address, user_agent
from authapp.api.middleware import request_id
from authapp.context import RequestContext

CLIENT_GONE = "authapp.client_gone"
"""The key of the WSGI environ for a function that tells whether the client has hung up."""

LANGUAGE_TAG = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}"
"""The tags of RFC 5646 that are read: a language, a script and a region."""


def request_context() -> RequestContext:
    """Return the client's address, user agent, request id, principal, connection and language."""
    return RequestContext(
        ip_address=client_address(request.environ),
        user_agent=user_agent(request.environ),
        request_id=request_id(),
        principal=principal_or_none(),
        # Only authapp's gunicorn worker knows. Elsewhere no client counts as gone.
        client_gone=request.environ.get(CLIENT_GONE, lambda: False),
        locale=_locale(),
    )


def _locale() -> str | None:
    """Return the language that the client likes best, if it is a plain tag: it becomes part of a file's name."""
    # Programs send none, and each request with an API key needs a context: reading nothing took 2 % of it.
    if "HTTP_ACCEPT_LANGUAGE" not in request.environ:
        return None
    best = request.accept_languages.best or ""
    return best if re.fullmatch(LANGUAGE_TAG, best) else None
