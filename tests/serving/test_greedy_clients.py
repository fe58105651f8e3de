"""Clients that send fast and without end, or that do not read: they hold nobody else up, and not for ever."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from e2e.waits import answered_soon
from serving.running import Gunicorn, everything, gunicorn

# The answers to others are to come within half a second, while the senders take all the time they can get.
pytestmark = pytest.mark.alone

HEAD = b" HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ONE_BYTE_CHUNKS = b"1\r\nA\r\n" * 5_000
KEPT = b"GET /" + HEAD + b"\r\n"
PROBE = b"GET /" + HEAD + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    folder: Path = tmp_path_factory.mktemp("greedy")
    with gunicorn(folder, "--keep-alive", "2", "hello:app") as lent:
        yield lent


def asked(server: Gunicorn) -> float:
    """Return after how many seconds somebody else is answered."""
    start = time.monotonic()
    client = server.connect()
    client.settimeout(5)
    client.sendall(PROBE)
    assert b"200 OK" in client.recv(65536)
    client.close()
    return time.monotonic() - start


@contextmanager
def sending(server: Gunicorn, head: bytes, data: bytes, clients: int = 3, seconds: float = 4) -> Iterator[list[float]]:
    """Let clients send ``head`` once and ``data`` again and again; lend for how long each of them could."""
    lasted: list[float] = []

    def send() -> None:
        start = time.monotonic()
        with closing(server.connect()) as client:
            client.settimeout(seconds)
            try:
                client.sendall(head)
                while time.monotonic() < start + seconds:
                    client.sendall(data)
            except OSError:
                pass
            lasted.append(time.monotonic() - start)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield lasted
    finally:
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("head", "data"),
    [
        (b"GET /" + CHUNKED, ONE_BYTE_CHUNKS),
        (b"POST /" + CHUNKED, ONE_BYTE_CHUNKS),
        (b"GET /" + HEAD + b"Content-Length: 100000000000\r\n\r\n", b"x" * 65536),
        (b"POST /read" + CHUNKED, ONE_BYTE_CHUNKS),
        (b"POST /read-all" + CHUNKED, ONE_BYTE_CHUNKS),
        (b"POST /read-all" + CHUNKED, b"1;" + b"x" * 8000 + b"\r\nA\r\n"),
        (b"POST /read-all" + CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
        (b"POST /read-all" + CHUNKED, b"f" * 4096),
        (b"GET /", b"a" * 65536),
        (b"GET /" + HEAD, b"X: " + b"y" * 8000 + b"\r\n"),
        (b"GET /" + HEAD + b"X: ", b"y" * 65536),
        (b"GARBAGE\r\n\r\n", b"x" * 65536),
        (b"", b"\r\n" * 10_000),
        (b"", PROBE * 100),
        (b"", KEPT * 100),
    ],
    ids=[
        "chunks",
        "chunks to a POST",
        "a huge length",
        "chunks that are read in part",
        "chunks that are read",
        "extensions",
        "trailers",
        "a chunk size without end",
        "a path without end",
        "headers without end",
        "a header without end",
        "garbage",
        "empty lines",
        "requests after the last one",
        "requests",
    ],
)
def test_whoever_sends_without_end_holds_nobody_up_and_is_hung_up_on(
    running: Gunicorn, head: bytes, data: bytes, request: pytest.FixtureRequest
) -> None:
    endless = request.node.callspec.id == "requests"

    def measure() -> list[float]:
        with sending(running, head, data, seconds=1 if endless else 4) as lasted:
            time.sleep(0.1)
            waits = [asked(running) for _ in range(10)]
        assert endless or max(lasted) < 3.5, lasted
        return waits

    answered_soon(measure)


def test_sixty_kilobytes_in_chunks_of_one_byte_are_read(running: Gunicorn) -> None:
    def measure() -> list[float]:
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(running.connect())) for _ in range(4)]
            for client in clients:
                client.sendall(b"POST /read-all" + CHUNKED + b"1\r\nA\r\n" * 60_000 + b"0\r\n\r\n")
            waits = [asked(running) for _ in range(5)]
            for client in clients:
                client.sendall(PROBE)
                assert everything(client).count(b"200 OK") == 2, "the connection is kept"
        return waits

    answered_soon(measure)


@contextmanager
def small_window(server: Gunicorn) -> Iterator[socket.socket]:
    """Lend a client that takes little at a time."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(20)
        client.connect(("127.0.0.1", server.port))
        yield client


def is_closed(server: Gunicorn, first: bytes, again: bytes = b"x", reading: int = 0, seconds: float = 12) -> bool:
    """Return whether the server hangs up on a client with a small window within so many seconds.

    It sends ``first`` once, and every tenth of a second it sends ``again``, and reads so many bytes.
    """
    deadline = time.monotonic() + seconds
    with small_window(server) as client:
        client.sendall(first)
        while time.monotonic() < deadline:
            try:
                client.sendall(again)
                if reading:
                    client.recv(reading)
            except OSError:
                return True
            time.sleep(0.1)
    return False


def test_whoever_takes_an_answer_too_slowly_is_hung_up_on(running: Gunicorn) -> None:
    large, file = (b"GET " + path + HEAD + b"\r\n" for path in (b"/large", b"/file"))
    with ThreadPoolExecutor() as pool:
        closed = {
            "takes nothing": pool.submit(is_closed, running, large),
            "takes nothing of a file": pool.submit(is_closed, running, file),
            "takes little": pool.submit(is_closed, running, large, reading=64),
            "takes little of a file": pool.submit(is_closed, running, file, reading=64),
            "pipelines": pool.submit(is_closed, running, b"", again=KEPT * 100),
        }
        assert {name: each.result() for name, each in closed.items()} == dict.fromkeys(closed, True)
    answered_soon(lambda: [asked(running)])
    assert '"ERROR"' not in running.log


@pytest.mark.parametrize("path", [b"/large", b"/file"])
def test_whoever_takes_an_answer_at_a_good_pace_gets_all_of_it(running: Gunicorn, path: bytes) -> None:
    with small_window(running) as client:
        client.sendall(b"GET " + path + HEAD + b"Connection: close\r\n\r\n")
        received = everything(client)
    assert len(received.partition(b"\r\n\r\n")[2]) == 1_000_000


def test_pipelined_requests_are_answered_in_turn(running: Gunicorn) -> None:
    client = running.connect()
    post = b"POST /read" + HEAD + b"Content-Length: 4\r\n\r\nbody"
    client.sendall((KEPT + post) * 10 + PROBE)
    received = everything(client)
    assert received.count(b"200 OK") == 21
    assert received.count(b"\r\n\r\nhello") == 11
    assert received.count(b"\r\n\r\nbody") == 10


@pytest.mark.parametrize(
    ("request_bytes", "kept"),
    [
        (b"POST /" + HEAD + b"Content-Length: 4\r\n\r\nbody", True),
        (b"POST /" + HEAD + b"Content-Length: 0\r\n\r\n", True),
        (b"POST /" + HEAD + b"Content-Length: 4\r\n\r\nbo", False),
        (b"POST /" + HEAD + b"Content-Length: 30000\r\n\r\n" + b"x" * 30_000, False),
        (b"POST /" + CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", False),
        (b"POST /read" + CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", True),
        (b"POST /read" + HEAD + b"Content-Length: 20\r\n\r\n" + b"x" * 20, True),
        (b"POST /late" + HEAD + b"Content-Length: 4\r\n\r\nbody", True),
    ],
)
def test_a_connection_is_kept_when_the_body_is_at_its_end(running: Gunicorn, request_bytes: bytes, kept: bool) -> None:
    client = running.connect()
    client.sendall(request_bytes)
    head = client.recv(65536).partition(b"\r\n\r\n")[0]
    assert (b"Connection: keep-alive" in head) is kept
    assert (b"Connection: close" in head) is not kept
    if kept:
        client.sendall(PROBE)
        assert b"200 OK" in everything(client)
    else:
        client.close()


def test_a_body_that_is_read_after_the_answer_has_begun_is_all_there(running: Gunicorn) -> None:
    client = running.connect()
    client.sendall(b"POST /late" + HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\nbo")
    time.sleep(0.2)
    client.sendall(b"dy")
    assert everything(client).endswith(b"\r\n\r\nbody")


def test_a_full_worker_hangs_up_on_whom_it_has_waited_for_longest(tmp_path: Path) -> None:
    with (
        gunicorn(tmp_path, "--keep-alive", "30", "--worker-connections", "20", "hello:app") as server,
        ExitStack() as stack,
    ):
        slow = [stack.enter_context(closing(server.connect())) for _ in range(40)]
        for client in slow:
            client.send(b"GET /")
        answered_soon(lambda: [asked(server) for _ in range(5)])
        assert '"ERROR"' not in server.log
        client = server.connect()
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        for _ in range(40):
            stack.enter_context(closing(server.connect()))
        assert everything(client).endswith(b"hello"), "whoever is being answered is not dropped"


def test_a_full_worker_hangs_up_on_those_who_pipeline(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--worker-connections", "20", "hello:app") as server:

        def measure() -> list[float]:
            with ExitStack() as stack:
                for _ in range(60):
                    client = stack.enter_context(closing(server.connect()))
                    # The answers fit into the kernel's buffers: these clients wait for turns alone.
                    client.sendall(KEPT * 300)
                time.sleep(0.1)
                return [asked(server) for _ in range(5)]

        answered_soon(measure)
        assert '"ERROR"' not in server.log
