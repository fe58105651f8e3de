"""The gunicorn worker: gevent's, with limits on what clients send and take, and closes that lose no answer.

gunicorn calls each of these, and no document promises them (tests/serving/test_gunicorn_names.py):

- ``GeventWorker.server_class(listener, application=, spawn=, log=, handler_class=, environ=, **ssl)``
- ``GeventWorker.handle(listener, client, addr)`` and ``handle_error(req, client, addr, exc)``
- ``AsyncWorker.handle_request(listener_name, req, sock, addr)``; gevent's only ignores the end of a greenlet besides
- ``GeventWorker.init_process()``, ``load_wsgi()`` and its result ``wsgi``, and ``run()``, which returns when it stops
- ``GeventWorker.alive``, which is false from the signal to stop on
- ``gunicorn.config.Config``: ``settings``, and ``__getattr__``, which runs only for names that are not attributes
- ``gunicorn.socket`` in the WSGI environ, the ``client`` that ``handle`` was given
"""

import functools
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from authapp.serving import background, database_metrics, metrics, open_files, problem, redaction, traces
from authapp.serving.answer import limit_buffers
from authapp.serving.client_socket import ClientSocket
from authapp.serving.connections import Connections, for_clients
from authapp.serving.draining_listener import DrainingListener
from authapp.serving.fair_scheduler import FairScheduler
from authapp.serving.metrics_port import MetricsPort
from authapp.serving.request_body import RequestBody
from authapp.serving.scrapes import ScrapeServer
from authapp.serving.start_check import forget_package

CLIENT_GONE = "authapp.client_gone"
"""The key of the WSGI environ for a function that tells whether the client has hung up. ``authapp.api.context`` reads
it, and a test compares them."""


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """An event loop that serves connections in greenlets.

    Headers must arrive within the setting ``keepalive``; gunicorn's own ``timeout_ctx`` sees to that.
    """

    wsgi: Any
    allowed_origins: Any = None
    """The ``AllowedOrigins`` of ``authapp.api.cors``, if the application has some."""
    metrics_port: MetricsPort | None = None
    slot = 0
    """Both are set by ``authapp.serving.metrics.pre_fork``."""
    is_traced = False
    connections_tracked: AbstractContextManager[Any] = nullcontext()

    def init_process(self) -> None:
        """Run the worker in its own process, until it is asked to stop."""
        keep_limits(self.cfg)
        problem.install(self.record_own_answer)
        redaction.install()
        store_settings(self.cfg)
        open_files.make_room(self.worker_connections)
        self.scheduler = FairScheduler()
        self.connections = Connections(for_clients(self.worker_connections))
        super().init_process()

    def record_own_answer(self, status: int, code: str) -> None:
        """Count an answer that gunicorn gives by itself."""
        if self.log.request_metrics:
            self.log.request_metrics.record_own_answer(status, code)

    def load_wsgi(self) -> None:
        """Import the application, start its background tasks, and put a time limit on the bodies it reads."""
        forget_package()
        if self.metrics_port:
            metrics.count_in_slot(self.metrics_port.folder.path, self.slot)
        self.is_traced = traces.start()
        super().load_wsgi()
        self.allowed_origins = getattr(background.extension_of(self.wsgi), "allowed_origins", None)
        if self.metrics_port:
            self.log.request_metrics = metrics.RequestMetrics()
            self.connections_tracked = self.log.request_metrics.connections_tracked
            read = database_metrics.reader(self.wsgi)
            self.metrics_port.serve(functools.partial(ScrapeServer, metrics=read, scheduler=self.scheduler))
        background.start(self.wsgi, lambda: bool(self.alive))
        self.wsgi = bind_client(self.wsgi)
        if self.is_traced:
            self.wsgi = traces.ServerSpans(self.wsgi)

    def run(self) -> None:
        """Serve until the signal to stop, and until what was begun is answered."""
        try:
            super().run()
        finally:
            if self.is_traced:
                traces.stop()

    def server_class(self, listener: Any, *, spawn: Any, **options: Any) -> DrainingListener:
        """Return the server of one listening socket, as gunicorn would make it."""
        limit_buffers(listener)
        name = listener.getsockname()
        # A connection accepted just before the listener closes asks for its name just after, which would fail.
        named = SimpleNamespace(getsockname=lambda: name)
        ssl = {key: value for key, value in options.items() if key == "ssl_context"}
        if ssl:
            # The first read does it, within the time for the headers.
            ssl["do_handshake_on_connect"] = False
        server = DrainingListener(listener, handle=functools.partial(self.handle, named), spawn=spawn, **ssl)
        server.shared = self.cfg.workers > 1
        server.backlog = self.cfg.backlog
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it closes."""
        redaction.serving_client.set(True)
        limited = ClientSocket(client, self.scheduler)
        with self.connections.registered(limited, addr), self.connections_tracked:
            super().handle(listener, limited, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: ClientSocket, addr: Any) -> None:
        """Answer one request; ``StopIteration`` means that the connection closes.

        It closes after a request that was ended in the middle as well: gevent's worker would go on with the next, whose
        answer the client would take for the rest of this one.
        """
        sock.begin_request(req)
        try:
            super(GeventWorker, self).handle_request(listener_name, req, sock, addr)
        except StopIteration:
            sock.linger()
            raise
        except (gevent.GreenletExit, SystemExit):
            raise StopIteration from None
        sock.flush()
        sock.expect_request()

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be parsed, or that the application did not answer."""
        if self.allowed_origins:
            client.error_headers = self.allowed_origins.headers(client.sent_origin())
        super().handle_error(req, client, addr, exc)
        client.linger()


def keep_limits(cfg: Any) -> None:
    """Change settings of gunicorn with which a client would evade the limits."""
    if not cfg.keepalive:
        # There would be no time limit on the headers.
        cfg.set("keepalive", 1)
    # Many requests would share one connection, which the limits count as one.
    cfg.set("http_protocols", "h1")


def store_settings(cfg: Any) -> None:
    """Store each setting as an attribute of ``cfg``, since those of a worker never change.

    Buys 5 % of the CPU time of ``GET /ping``: gunicorn looks up 21 settings for a request, at 1 us each.
    """
    vars(cfg).update((name, setting.get()) for name, setting in cfg.settings.items())


def bind_client(application: Any) -> Any:
    """Return a WSGI application that passes ``application`` a ``RequestBody``, and ``CLIENT_GONE``.

    After an answer whose body was not read to its end, the connection closes.
    """

    def limited(environ: dict[str, Any], start_response: Any) -> Any:
        client: ClientSocket = environ["gunicorn.socket"]
        # A request without a body may wait to be hashed as well: HTTP Basic has the password in a header.
        environ[CLIENT_GONE] = client.has_hung_up
        length = environ.get("CONTENT_LENGTH")
        if length is None and "HTTP_TRANSFER_ENCODING" not in environ:
            return application(environ, start_response)
        body = RequestBody(environ["wsgi.input"], client, None if length is None else int(length))
        environ["wsgi.input"] = body

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if not body.has_arrived():
                client.close_after_answer()
            return start_response(status, headers, *error)

        return application(environ, start)

    return limited
