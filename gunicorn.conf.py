"""How authapp is served. Everything here can be overridden by gunicorn's command line."""

import contextlib
import functools
import gc
import http
import json
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as quoted
from types import SimpleNamespace
from typing import Any

import gevent
import gunicorn.http.message
import gunicorn.http.wsgi
import gunicorn.util
import gunicorn.workers.ggevent
from gevent.server import StreamServer
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker
from pythonjsonlogger.json import JsonFormatter

# Neither Flask nor the application is imported here: the master would keep what it has imported through every reload,
# and gevent's worker could no longer replace the sockets in it.
REQUEST_ID = "authapp.request_id"

# An event loop: slow clients hold no worker and no thread, and a database that does not answer stops nobody else.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_connections = 1000
backlog = 1024
# Headers must be here in as many seconds, too.
keepalive = 5
BODY_SECONDS = 10.0
"""The longest that is waited for the whole of a request's body, of which 64 KiB are allowed."""

timeout = 30
graceful_timeout = 30
max_requests = 0

limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

# The control socket has one shared default path: two instances on one host would fight over it.
control_socket_disable = True

# The application trusts proxies by AUTHAPP_TRUSTED_PROXIES alone; gunicorn itself believes none.
forwarded_allow_ips = ""

# A level that does not exist is named with the other bad settings, when the application is tried (on_starting).
_level = os.environ.get("AUTHAPP_LOG_LEVEL", "").strip()
loglevel = _level.lower() if _level in {"DEBUG", "INFO", "WARNING", "ERROR"} else "info"
accesslog = "-"
errorlog = "-"


class EventFormatter(JsonFormatter):
    """One JSON object a line, whatever the message holds: input cannot forge a line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Say when, how grave, who, what, and for which request."""
        super().add_fields(log_data, record, message_dict)
        if record.name == "gunicorn.error" and record.getMessage().startswith("Invalid request from "):
            # What follows is the client's, verbatim: a broken request line may hold a token, a header a password.
            log_data["message"] = record.getMessage().partition("'")[0].rstrip(": ")
        log_data["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        flask = sys.modules.get("flask")
        if flask is not None and flask.has_request_context():
            log_data["request_id"] = flask.request.environ.get(REQUEST_ID)


class AccessLogger(Logger):
    """gunicorn's logger, which writes the lines about requests itself, to standard output or the ``accesslog``.

    gunicorn's own way through ``logging`` gathers every header of the request and of the response, and makes a record
    of them: a fifth of the time of a protected request.
    """

    _second, _stamp = -1, ""
    _target: int | None = None

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one request. The query and the referrer are left out: people put tokens there."""
        if not self.cfg.accesslog:
            return
        # Whatever comes from outside is quoted: it cannot forge a line.
        line = (
            f'{{"timestamp": "{self._now()}", "level": "INFO", "name": "gunicorn.access", "message": "request", '
            f'"method": {quoted(environ.get("REQUEST_METHOD", "-"))}, "path": {quoted(environ.get("PATH_INFO", "-"))}, '
            f'"status": {int(str(resp.status)[:3])}, "bytes": {resp.sent}, '
            f'"duration_us": {request_time.seconds * 1_000_000 + request_time.microseconds}, '
            f'"remote_address": {quoted(environ.get("REMOTE_ADDR") or "-")}, '
            f'"user_agent": {quoted(environ.get("HTTP_USER_AGENT", "-"))}, '
            f'"request_id": {quoted(environ.get(REQUEST_ID, "-"))}}}\n'
        )
        if self._target is None:
            self._target = self._opened()
        os.write(self._target, line.encode("ascii"))

    def reopen_files(self) -> None:
        """Open the file again after its rotation (USR1)."""
        super().reopen_files()
        if self._target not in {None, sys.stdout.fileno()}:
            os.close(self._target)
        self._target = None

    def _opened(self) -> int:
        if self.cfg.accesslog == "-":
            return sys.stdout.fileno()
        return os.open(self.cfg.accesslog, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def _now(self) -> str:
        moment = time.time()
        second = int(moment)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int(moment % 1 * 1000):03d}+00:00"


class TooSlow(BaseException):
    """A client has not sent in time what is waited for."""


class Patience:
    """A context in which a client's greenlet waits for so many seconds, and is led out of it when they are over.

    There is one clock for all of them: gevent's own ``Timeout`` starts and stops a timer for each request, which is a
    fortieth of its time.
    """

    TICK = 0.5

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._limits: dict[Any, float] = {}
        self._clock: Any = None

    def __enter__(self) -> None:
        self.until(time.monotonic() + self.seconds)

    def __exit__(self, kind: object, *_: object) -> bool:
        self._limits.pop(gevent.getcurrent(), None)
        return kind is TooSlow

    def until(self, moment: float) -> None:
        """Wait until then, within the context."""
        if self._clock is None:
            self._clock = gevent.get_hub().loop.timer(self.TICK, self.TICK, ref=False)
            self._clock.start(self._hang_up)
        self._limits[gevent.getcurrent()] = moment

    def _hang_up(self) -> None:
        now = time.monotonic()
        for greenlet in [greenlet for greenlet, limit in self._limits.items() if limit <= now]:
            if self._limits.pop(greenlet, None) is not None:
                greenlet.throw(TooSlow)


class TimelyBody:
    """The body of a request (PEP 3333, ``wsgi.input``), all of which must be here within the patience for it.

    Otherwise whoever opens enough connections, and sends a byte now and then, holds all that a worker may have.
    """

    def __init__(self, body: Any, patience: Patience) -> None:
        self._body = body
        self._patience = patience
        self._limit: float | None = None

    def read(self, *size: int) -> bytes:
        """Return so many bytes, or all. Raises ``TimeoutError``."""
        return self._in_time(self._body.read, *size)

    def readline(self, *size: int) -> bytes:
        """Return a line. Raises ``TimeoutError``."""
        return self._in_time(self._body.readline, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        """Return all lines. Raises ``TimeoutError``."""
        return self._in_time(self._body.readlines, *hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _in_time(self, read: Callable[..., Any], *arguments: int) -> Any:
        if self._limit is None:
            self._limit = time.monotonic() + self._patience.seconds
        with self._patience:
            self._patience.until(self._limit)
            return read(*arguments)
        # Where the next request would begin is not known any more.
        self._body.failed = True
        raise TimeoutError("the body did not arrive in time")


class Listener(StreamServer):
    """gevent's server of connections, which takes those that wait for it before it closes.

    The kernel resets what nobody has taken, and with it requests that a balancer has sent and may not send again.
    """

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            while self.started and (waiting := self.do_read()):
                self.do_handle(*waiting)
        super().close()


# What the worker makes its servers of.
gunicorn.workers.ggevent.StreamServer = Listener


class Worker(GeventWorker):
    """gunicorn's gevent worker, which hangs up only when the client has had time to read the answer.

    A connection that is closed while bytes of a request are unread is reset, and the client loses the answer that
    said what was wrong with them (RFC 9112, section 9.6).
    """

    LINGER = 1.0
    """The longest that is waited for the client to hang up, in seconds."""

    def init_process(self) -> None:
        """Start the worker in its own process."""
        self._idle, self._bodies = Patience(self.cfg.keepalive), Patience(BODY_SECONDS)
        # A worker's settings never change: as plain attributes they are not looked up anew, twenty times a request.
        vars(self.cfg).update((name, setting.get()) for name, setting in self.cfg.settings.items())
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, which is handed bodies that do not take for ever."""
        super().load_wsgi()
        application = self.wsgi

        def timely(environ: dict[str, Any], start_response: Any) -> Any:
            if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
                environ["wsgi.input"] = TimelyBody(environ["wsgi.input"], self._bodies)
            return application(environ, start_response)

        self.wsgi = timely

    def run(self) -> None:
        """Serve until told to stop."""
        names = {id(each): each.getsockname() for each in self.sockets}
        # Who was taken a moment before the listener closed asks for its name a moment after: gunicorn would hang up.
        self._listeners = {key: SimpleNamespace(getsockname=lambda name=name: name) for key, name in names.items()}
        super().run()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection."""
        super().handle(self._listeners[id(listener)], client, addr)

    def timeout_ctx(self) -> Any:
        """Return what bounds the wait for the next request of a connection, its headers included."""
        return self._idle

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request."""
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            _linger(sock, self.LINGER)
            raise

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read."""
        super().handle_error(req, client, addr, exc)
        _linger(client, self.LINGER)


def _linger(client: Any, seconds: float) -> None:
    try:
        client.shutdown(socket.SHUT_WR)
        with gevent.Timeout(seconds, False):
            while client.recv(65536):
                pass
    except OSError:
        pass


logger_class = AccessLogger
worker_class = Worker

logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "event": {"()": EventFormatter, "fmt": ["level", "name", "message"]},
    },
    "handlers": {
        "event": {"class": "logging.StreamHandler", "formatter": "event", "stream": "ext://sys.stderr"},
    },
    "root": {"level": loglevel.upper(), "handlers": ["event"]},
    "loggers": {
        "alembic": {"level": "WARNING"},
        "gunicorn.error": {"level": loglevel.upper(), "handlers": ["event"], "propagate": False},
    },
}


def on_starting(server: Any) -> None:
    """Refuse bad settings at the start and at each reload, once and readably, instead of once a worker.

    On HUP, gunicorn lets the old workers go before the new ones have started, and tries for ever when those cannot
    start: a mistake in a key file would end the service. With this, the old workers serve on.
    """
    if not _settings_can_be_used():
        sys.exit(1)
    reload = server.reload

    def reload_if_it_can_be_served() -> None:
        if _settings_can_be_used():
            reload()
        else:
            server.log.error("Nothing is reloaded: with these settings no worker could start. The old ones serve on.")

    # The hook on_reload comes too late to say no: all it could do is stop the server.
    server.reload = reload_if_it_can_be_served


def post_worker_init(worker: Any) -> None:
    """Note that a worker answers from now on; "Booting worker" only said that it was started."""
    # What has been imported stays for good: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    worker.log.info("Worker ready (pid: %s)", worker.pid)


def _settings_can_be_used() -> bool:
    """Try them in another process: what the master imported, no reload could replace.

    The exit status is not asked: gunicorn's handler of SIGCHLD may collect the process first, and to ``subprocess`` a
    process that somebody else has collected looks like one that went well.
    """
    trial = [sys.executable, "-c", "import wsgi; print('usable')"]
    outcome = subprocess.run(trial, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    return outcome.stdout.endswith("usable\n")


def _write_problem(sock: Any, status: int, reason: str, _message: str) -> None:
    """Answer what gunicorn cannot even parse in the same shape as everything else, instead of in HTML."""
    mistake = status < 500 or status == http.HTTPStatus.NOT_IMPLEMENTED
    if mistake:  # gunicorn tells a dozen of them apart; to clients they are one, with one code
        status, reason = 400, "Bad Request"
    code = "malformed_request" if mistake else "internal_error"
    title = "The request cannot be read." if mistake else "Something went wrong on the server."
    request_id = str(uuid.uuid4())  # noqa: TID251 - the application is not there to ask
    problem = {"type": f"/problems/{code}", "title": title, "status": status, "code": code, "detail": title}
    body = json.dumps({**problem, "instance": "/", "request_id": request_id})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"X-Request-ID: {request_id}",
    ]
    gunicorn.util.write_nonblock(sock, "\r\n".join([*head, "", body]).encode("ascii"))


gunicorn.util.write_error = _write_problem


# Made anew for each request: the date in words, the part of the environment that is always the same, with a logger
# looked up in it, and the peer's address as an object, to be compared with no proxy at all (forwarded_allow_ips).
# Together they are a fifteenth of a protected request.
_date_of = functools.lru_cache(maxsize=2)(gunicorn.util.http_date)
_environ_of = functools.lru_cache(maxsize=2)(gunicorn.http.wsgi.base_environ)


def _http_date(timestamp: float | None = None) -> str:
    """Return the ``Date`` of a response (RFC 9110, section 6.6.1), which counts whole seconds."""
    return _date_of(int(time.time() if timestamp is None else timestamp))


def _base_environ(cfg: Any) -> dict[str, Any]:
    """Return what is the same in the WSGI environment of every request."""
    return _environ_of(cfg).copy()


def _is_trusted_peer(address: str, allowed: list[str], networks: list[Any]) -> bool:
    """Tell whether the peer is a proxy that gunicorn itself is to believe."""
    return bool(networks or allowed) and _compared(address, allowed, networks)


_compared = gunicorn.http.message._ip_in_allow_list  # noqa: SLF001
gunicorn.http.message._ip_in_allow_list = _is_trusted_peer  # noqa: SLF001
gunicorn.util.http_date = _http_date
gunicorn.http.wsgi.base_environ = _base_environ
