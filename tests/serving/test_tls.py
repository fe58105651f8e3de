"""gunicorn may end TLS itself: the limits are the same."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.certificates import write_certificate
from serving.running import Gunicorn, everything, gunicorn


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    folder: Path = tmp_path_factory.mktemp("tls")
    write_certificate(folder)
    arguments = ("--certfile", "cert.pem", "--keyfile", "key.pem", "--keep-alive", "1", "hello:app")
    with gunicorn(folder, *arguments) as lent:
        yield lent


def encrypted(client: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(client)


def test_requests_are_answered_on_one_connection(running: Gunicorn) -> None:
    client = encrypted(running.connect())
    client.sendall(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
    time.sleep(0.2)
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    _, read, large = everything(client).split(b"\r\n\r\n")
    assert read.startswith(b"body")
    assert len(large) == 1_000_000


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01"])
def test_whoever_does_not_finish_the_handshake_is_hung_up_on(running: Gunicorn, data: bytes) -> None:
    start = time.monotonic()
    client = running.connect()
    client.sendall(data)
    assert everything(client) == b""
    assert time.monotonic() - start < 3


def test_an_error_of_the_handshake_harms_nobody(running: Gunicorn) -> None:
    client = running.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    everything(client)
    test_requests_are_answered_on_one_connection(running)
    assert '"ERROR"' not in running.log
