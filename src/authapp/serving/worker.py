"""The gunicorn worker: gevent's, with a limit on request bodies and closes that lose no answer.

gunicorn calls each of these, and no document promises them (tests/serving/test_gunicorn_names.py):

- ``GeventWorker.server_class(listener, application=, spawn=, log=, handler_class=, environ=, **ssl)``
- ``GeventWorker.handle(listener, client, addr)``, ``handle_request(listener_name, req, sock, addr)`` and
  ``handle_error(req, client, addr, exc)``
- ``GeventWorker.init_process()``, ``load_wsgi()`` and its result ``wsgi``
"""

import functools
import socket
from types import SimpleNamespace
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from authapp.serving import caches, problem
from authapp.serving.draining_listener import DrainingListener
from authapp.serving.preflight import forget_package
from authapp.serving.request_body import RequestBody

LINGER = 1.0
"""Seconds to wait for the client to hang up after the last answer on its connection."""


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """An event loop that serves connections in greenlets.

    Headers must arrive within the setting ``keepalive``; gunicorn's own ``timeout_ctx`` sees to that.
    """

    wsgi: Any

    def init_process(self) -> None:
        """Run the worker in its own process, until it is asked to stop."""
        problem.install()
        caches.install(self.cfg)
        super().init_process()

    def load_wsgi(self) -> None:
        """Import the application, and put a time limit on the bodies it reads."""
        forget_package()
        super().load_wsgi()
        self.wsgi = limit_bodies(self.wsgi)

    def server_class(self, listener: Any, *, spawn: Any, **options: Any) -> DrainingListener:
        """Return the server of one listening socket, as gunicorn would make it."""
        name = listener.getsockname()
        # A connection accepted just before the listener closes asks for its name just after, which would fail.
        named = SimpleNamespace(getsockname=lambda: name)
        ssl = {key: value for key, value in options.items() if key == "ssl_context"}
        server = DrainingListener(listener, handle=functools.partial(self.handle, named), spawn=spawn, **ssl)
        if self.cfg.workers > 1:
            server.max_accept = 1
        return server

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request; ``StopIteration`` means that the connection closes."""
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            linger(sock)
            raise

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be parsed."""
        super().handle_error(req, client, addr, exc)
        linger(client)


def limit_bodies(application: Any) -> Any:
    """Return a WSGI application that passes ``application`` a ``RequestBody``."""

    def limited(environ: dict[str, Any], start_response: Any) -> Any:
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = RequestBody(environ["wsgi.input"])
        return application(environ, start_response)

    return limited


def linger(client: Any, seconds: float = LINGER) -> None:
    """Read and discard until the client hangs up, for at most ``seconds``.

    Closing a connection with unread bytes resets it, and the client loses the answer (RFC 9112, section 9.6).
    """
    try:
        client.shutdown(socket.SHUT_WR)
        with gevent.Timeout(seconds, False):
            while client.recv(65536):
                pass
    except OSError:
        pass
