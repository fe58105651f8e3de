"""Whoever reads a log may stop: requests are answered all the same, and later the log says how much is missing."""

import contextlib
import json
import os
import re
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Databases
from e2e.processes import Server, environment


class Pipe:
    """A pipe that nobody reads until ``read`` is called."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._reader = threading.Thread(target=self._go_on, daemon=True)
        self._data = b""

    def fill(self) -> None:
        """Write until there is no room for a byte. The server's own descriptor goes on to wait."""
        unblocked = os.open(f"/proc/self/fd/{self.writing}", os.O_WRONLY | os.O_NONBLOCK)
        for size in (65536, 4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(unblocked, b"\n" * size)
        os.close(unblocked)

    def read_until(self, words: bytes) -> None:
        """Read until these words have been written."""
        while words not in self._data:
            assert select.select([self._reading], [], [], 10)[0], self._data
            self._data += os.read(self._reading, 65536)

    def read(self) -> None:
        """Begin to read."""
        self._reader.start()

    def close(self) -> str:
        """Return what was read, when nobody else can write any more."""
        os.close(self.writing)
        self._reader.join(10)
        os.close(self._reading)
        return self._data.decode()

    def _go_on(self) -> None:
        while data := os.read(self._reading, 65536):
            self._data += data


@contextlib.contextmanager
def serving_into(pipe: Pipe, streams: list[str], folder: Path, variables: dict[str, str]) -> Iterator[Server]:
    server = Server(folder, variables, streams=dict.fromkeys(streams, pipe.writing))
    try:
        server.wait_until()
        yield server
    finally:
        server.stop()


def garbage(server: Server) -> None:
    """Send what cannot be parsed, which is an event of the log on standard error."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GARBAGE\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def settle(server: Server, pipe: Pipe, streams: list[str]) -> None:
    """Wait until the worker has opened its logs, which makes the pipe larger, and has written its last line.

    It writes about a request after its client has the answer.
    """
    assert server.call("GET", "/settled").status_code == 404
    garbage(server)
    for stream in streams:
        pipe.read_until({"stdout": b"/settled", "stderr": b"InvalidRequestLine"}[stream])


@pytest.mark.parametrize("streams", [["stdout"], ["stderr"], ["stdout", "stderr"]], ids=" and ".join)
def test_a_pipe_that_nobody_reads_holds_no_request(databases: Databases, tmp_path: Path, streams: list[str]) -> None:
    pipe = Pipe()
    with (
        databases.migrated() as url,
        serving_into(pipe, streams, tmp_path, environment(url, WEB_CONCURRENCY="1")) as server,
    ):
        settle(server, pipe, streams)
        pipe.fill()
        for _ in range(20):
            assert server.call("GET", "/health/live").status_code == 200
            garbage(server)
        if "stderr" not in streams:
            assert "The log of requests cannot be written (nobody reads it)" in server.log
        pipe.read()
        for _ in range(50):
            assert server.call("GET", "/health/live").status_code == 200
            garbage(server)
        server.stop()
    read = pipe.close()
    text = read if "stderr" in streams else server.log
    events = [json.loads(line) for line in text.splitlines() if line.strip()]
    lost = [event["message"] for event in events if "Lines lost since this process started" in event["message"]]
    numbers = [int(re.findall(r"lost.*: (\d+)$", message)[0]) for message in lost]
    assert max(numbers) >= 20, lost
