"""The worker, under a gunicorn of its own with an application of a few lines."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from gunicorn.config import Config
from gunicorn.workers.base_async import AsyncWorker

from authapp.serving.answer import SEND_BUFFER
from authapp.serving.request_body import RequestBody
from authapp.serving.worker import CLIENT_GONE, Worker, bind_client, keep_limits, store_settings
from serving.running import Gunicorn, everything, gunicorn


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    folder: Path = tmp_path_factory.mktemp("worker")
    with gunicorn(folder, "--keep-alive", "1", "hello:app") as lent:
        yield lent


def test_a_connection_without_a_whole_request_is_closed_after_the_keepalive(running: Gunicorn) -> None:
    start = time.monotonic()
    client = running.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    assert everything(client) == b""
    assert 0.9 < time.monotonic() - start < 3


def test_an_answer_arrives_although_the_client_has_sent_more_than_was_read(running: Gunicorn) -> None:
    client = running.connect()
    client.sendall(b"GARBAGE\r\n\r\n" + b"x" * 500_000)
    received = everything(client)
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code": "malformed_request"' in received


def test_a_body_is_passed_on(running: Gunicorn) -> None:
    client = running.connect()
    client.sendall(b"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
    assert everything(client).endswith(b"\r\n\r\nbody")


def test_a_worker_that_stops_answers_whom_it_has_accepted(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as running:
        client = running.connect()
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        assert everything(client).endswith(b"hello")
        assert running.process.wait(10) == 0
        assert '"ERROR"' not in running.log


@pytest.mark.parametrize(
    ("environ", "limited"),
    [({"CONTENT_LENGTH": "1"}, True), ({"HTTP_TRANSFER_ENCODING": "chunked"}, True), ({}, False)],
)
def test_only_a_request_with_a_body_gets_a_time_limit(environ: dict[str, Any], limited: bool) -> None:
    application, client = bind_client(lambda environ, _: environ), SimpleNamespace(has_hung_up=lambda: True)
    passed = application({**environ, "wsgi.input": "body", "gunicorn.socket": client}, None)
    assert isinstance(passed["wsgi.input"], RequestBody) is limited
    assert passed[CLIENT_GONE](), "HTTP Basic waits for its turn, and has no body"


@pytest.mark.parametrize(("workers", "accepted_at_once"), [(1, 16), (2, 1)])
def test_a_listener_that_is_closed_still_has_its_name(workers: int, accepted_at_once: int) -> None:
    seen: list[Any] = []
    worker = SimpleNamespace(
        cfg=SimpleNamespace(workers=workers, backlog=9), handle=lambda listener, *_: seen.append(listener.getsockname())
    )
    listening = socket.create_server(("127.0.0.1", 0))
    name = listening.getsockname()
    server = Worker.server_class(worker, listening, spawn=None, application=None, log=None)  # type: ignore[arg-type]
    listening.close()
    server._handle(None, None)
    assert seen == [name]
    assert (server.max_accept, server.backlog) == (accepted_at_once, 9)


def test_the_kernel_keeps_little_for_a_client_that_does_not_read() -> None:
    worker = SimpleNamespace(cfg=SimpleNamespace(workers=1, backlog=9), handle=print)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Worker.server_class(worker, listening, spawn=None, application=None, log=None)  # type: ignore[arg-type]
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= SEND_BUFFER


@pytest.mark.parametrize("method", ["handle_request", "handle_error"])
def test_the_last_answer_of_a_connection_is_waited_for(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Mock()

    def answered(*_: Any) -> None:
        if method == "handle_request":
            raise StopIteration

    monkeypatch.setattr(AsyncWorker, method, answered)
    worker = Worker.__new__(Worker)
    if method == "handle_request":
        with pytest.raises(StopIteration):
            worker.handle_request("name", None, client, None)
    else:
        worker.handle_error(None, client, None, ValueError())
    client.linger.assert_called_once_with()


def test_no_setting_takes_the_limits_away() -> None:
    cfg = Config()
    cfg.set("keepalive", 0)
    cfg.set("http_protocols", "h2,h1")
    keep_limits(cfg)
    assert cfg.keepalive == 1, "without it, the headers would have no time limit"
    assert cfg.http_protocols == ["h1"]


def test_storing_the_settings_changes_none() -> None:
    cfg = Config()
    cfg.set("keepalive", 7)
    settings = {name: setting.get() for name, setting in cfg.settings.items()}
    store_settings(cfg)
    assert {name: vars(cfg)[name] for name in settings} == settings
    assert cfg.keepalive == 7
