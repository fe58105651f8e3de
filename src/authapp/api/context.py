"""Building the ``RequestContext`` that is passed to use cases."""

import socket
from contextlib import suppress
from functools import partial
from typing import Any

from flask import request

from authapp.api.authenticate import principal_or_none
from authapp.api.middleware import request_id
from authapp.context import RequestContext


def request_context() -> RequestContext:
    """Return the client's address, user agent, request id, principal (``None`` for a guest) and connection."""
    return RequestContext(
        ip_address=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
        request_id=request_id(),
        principal=principal_or_none(),
        client_gone=partial(has_hung_up, request.environ.get("gunicorn.socket")),
    )


def has_hung_up(connection: Any) -> bool:
    """Tell whether the client has closed its connection; ``False`` if the server does not say which that is.

    A client that has only shut down its sending side counts as gone, as it does for nginx and HAProxy. One that has
    sent more after its request is not noticed.
    """
    if connection is None:
        return False
    timeout = connection.gettimeout()
    try:
        connection.settimeout(0)
        return not connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, ValueError):  # nothing to read; TLS, which cannot peek
        return False
    except OSError:
        return True
    finally:
        with suppress(OSError):
            connection.settimeout(timeout)
