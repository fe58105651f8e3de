"""Names of gunicorn and gevent that no document promises: where they moved, ``authapp.serving`` must follow."""

import inspect
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.pool
import gevent.server
import gunicorn.app.wsgiapp
import gunicorn.arbiter
import gunicorn.config
import gunicorn.glogging
import gunicorn.http.body
import gunicorn.http.message
import gunicorn.http.unreader
import gunicorn.http.wsgi
import gunicorn.sock
import gunicorn.util
import gunicorn.workers.base
import pytest
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

import authapp
from authapp.serving.client_socket import ClientSocket
from authapp.serving.fair_scheduler import FairScheduler

SOURCE = Path(authapp.__file__).parent

SIGNATURES: dict[str, tuple[Any, list[str]]] = {
    "write_error": (gunicorn.util.write_error, ["sock", "status_int", "reason", "mesg"]),
    "force_close": (gunicorn.http.message.Message.force_close, ["self"]),
    "import_app": (gunicorn.util.import_app, ["module"]),
    "reload": (gunicorn.arbiter.Arbiter.reload, ["self"]),
    "access": (gunicorn.glogging.Logger.access, ["self", "resp", "req", "environ", "request_time"]),
    "reopen_files": (gunicorn.glogging.Logger.reopen_files, ["self"]),
    "init_process": (GeventWorker.init_process, ["self"]),
    "load_wsgi": (GeventWorker.load_wsgi, ["self"]),
    "run": (GeventWorker.run, ["self"]),
    "handle": (GeventWorker.handle, ["self", "listener", "client", "addr"]),
    "handle_request": (AsyncWorker.handle_request, ["self", "listener_name", "req", "sock", "addr"]),
    "handle_error": (GeventWorker.handle_error, ["self", "req", "client", "addr", "exc"]),
    "do_read": (gevent.server.StreamServer.do_read, ["self"]),
    "do_handle": (gevent.server.StreamServer.do_handle, ["self", "args"]),
    "close": (gevent.server.StreamServer.close, ["self"]),
    "stop_accepting": (gevent.server.StreamServer.stop_accepting, ["self"]),
}

FILES = {
    "write_error": "problem",
    "import_app": "start_check",
    "Arbiter.WORKERS": "metrics",
    "parse_address": "metrics_port",
    "GUNICORN_PID": "metrics_port",
    "app_uri": "start_check",
    "reopen_files": "access_log",
    "init_process": "worker",
    "load_wsgi": "worker",
    "alive": "worker",
    "server_class": "worker",
    "handle_request": "worker",
    "do_read": "draining_listener",
    "do_handle": "draining_listener",
    "failed": "request_body",
    "force_close": "client_socket",
    "LimitRequestHeaders": "client_socket",
    "now": "fair_scheduler",
    "gunicorn.socket": "worker",
    "Invalid request from ip=": "redaction",
}
"""Each name, and the one file that uses it."""


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_is_where_it_was_and_takes_what_it_took(name: str) -> None:
    function, parameters = SIGNATURES[name]
    assert list(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize("name", FILES)
def test_a_name_is_used_in_one_file_whose_docstring_says_so(name: str) -> None:
    use = re.compile(
        {"failed": r"\b_body\.failed\b", "now": r"\bloop\.now\b", "alive": r"\bself\.alive\b"}.get(
            name, re.escape(name)
        )
    )
    users = [file for file in SOURCE.rglob("*.py") if use.search(file.read_text())]
    assert users == [SOURCE / "serving" / f"{FILES[name]}.py"]
    assert name in (inspect.cleandoc(users[0].read_text()).split('"""')[1])


def test_gunicorn_calls_what_is_replaced_by_its_module() -> None:
    """``from gunicorn.util import write_error`` in gunicorn would leave the replacement without effect."""
    callers: dict[str, Callable[..., Any]] = {
        "util.write_error(": GeventWorker.handle_error,
    }
    for call, function in callers.items():
        assert call in inspect.getsource(function), call


def test_a_worker_makes_its_servers_with_server_class() -> None:
    made: list[dict[str, Any]] = []

    class Server:
        pool = SimpleNamespace(free_count=lambda: 1, size=1)

        def start(self) -> None:
            pass

        close = start

    def server_class(listener: Any, **options: Any) -> Server:
        made.append(options)
        return Server()

    assert GeventWorker.server_class is None
    worker = SimpleNamespace(
        cfg=gunicorn.config.Config(),
        sockets=[SimpleNamespace(setblocking=lambda _: None)],
        worker_connections=1,
        server_class=server_class,
        wsgi_handler=None,
        wsgi=None,
        log=None,
        alive=False,
    )
    GeventWorker.run(worker)
    assert [set(options) for options in made] == [{"application", "spawn", "log", "handler_class", "environ"}]


def test_the_setting_keepalive_is_the_time_for_the_headers() -> None:
    source = inspect.getsource(GeventWorker.timeout_ctx)
    assert "gevent.Timeout(self.cfg.keepalive, False)" in source


def test_attributes_are_where_they_were() -> None:
    assert gunicorn.http.body.Body(None).failed is False
    assert "self.app_uri" in inspect.getsource(gunicorn.app.wsgiapp.WSGIApplication.init)
    assert "__getattr__" in vars(gunicorn.config.Config), "an attribute of its own is found before a setting"
    response = gunicorn.http.wsgi.Response(None, None, None)
    assert (response.status, response.sent) == (None, 0)
    assert isinstance(gevent.server.StreamServer.started, property)
    assert isinstance(gevent.server.StreamServer.backlog, int)
    assert "self.max_accept" in inspect.getsource(gevent.server.StreamServer._do_read)
    pool = gevent.pool.Pool(3)
    assert (pool.size, pool.free_count()) == (3, 3)


def test_gunicorn_uses_of_a_client_no_more_than_its_stand_in_has() -> None:
    sources = (
        AsyncWorker.handle,
        GeventWorker.handle,
        AsyncWorker.handle_request,
        gunicorn.workers.base.Worker.handle_error,
    )
    text = "".join(map(inspect.getsource, (*sources, gunicorn.http.wsgi, gunicorn.http.unreader)))
    used = set(re.findall(r"\b(?:sock|client)\.([a-z_]+)\(", text)) - {"decode"}
    assert used == {"setblocking", "do_handshake", "recv", "send", "sendall", "sendfile", "shutdown", "close"}
    assert {name for name in used if not hasattr(ClientSocket, name)} == {"do_handshake"}, "only for a TLS socket"
    assert "isinstance(client, ssl.SSLSocket)" in inspect.getsource(AsyncWorker.handle)
    assert gunicorn.sock.is_http2_negotiated(ClientSocket(None, FairScheduler())) is False


def test_the_head_of_an_answer_is_written_whole_and_before_its_body() -> None:
    sent: list[bytes] = []
    request = SimpleNamespace(version=(1, 1), method="GET", should_close=lambda: False)
    response = gunicorn.http.wsgi.Response(request, SimpleNamespace(sendall=sent.append), gunicorn.config.Config())
    response.start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    response.write(b"body")
    head, body = sent
    assert (head[:15], head[-4:], body) == (b"HTTP/1.1 200 OK", b"\r\n\r\n", b"body")


def test_the_worker_of_gevent_adds_to_a_request_no_more_than_going_on_after_its_end() -> None:
    lines = inspect.getsource(GeventWorker.handle_request).split("\n")[1:]
    assert [line.strip() for line in lines if line] == [
        *("try:", "super().handle_request(listener_name, req, sock, addr)"),
        *("except gevent.GreenletExit:", "pass", "except SystemExit:", "pass"),
    ]


def test_the_socket_of_a_request_is_in_its_environ() -> None:
    assert '"gunicorn.socket": sock' in inspect.getsource(gunicorn.http.wsgi.default_environ)


def test_the_time_of_the_loop_changes_with_its_iteration_alone() -> None:
    gevent.sleep(0.001)
    began = gevent.get_hub().loop.now()
    time.sleep(0.02)
    assert gevent.get_hub().loop.now() == began
    gevent.sleep(0.001)
    assert gevent.get_hub().loop.now() > began


def test_a_request_that_cannot_be_parsed_is_logged_as_it_was() -> None:
    assert '"Invalid request from ip={ip}: {error}"' in inspect.getsource(GeventWorker.handle_error)
    # Read, not made: it would change this process's logger.
    assert 'getLogger("gunicorn.error")' in inspect.getsource(gunicorn.glogging.Logger.__init__)
