"""Lines of a log are written whole and at once, or not at all."""

import contextlib
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from authapp.logs.formatter import LogFormatter
from authapp.logs.handler import LogHandler
from authapp.logs.output import FREE_PAGES, LogOutput

MOST_WORKERS = 8
"""As many as may look for room at once in a pipe that could not be made larger."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def write_until_full(output: LogOutput, line: bytes) -> int:
    for number in range(100_000):
        try:
            output.write(line)
        except BlockingIOError:
            return number
    raise AssertionError("there was always room")


@pytest.mark.parametrize("length", [100, 430, 2049, 4095])
@pytest.mark.parametrize(("larger", "room"), [(True, FREE_PAGES), (False, MOST_WORKERS)])
def test_a_pipe_keeps_room_for_all_who_found_some(
    pipe: tuple[int, int], length: int, larger: bool, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not larger:
        monkeypatch.setattr("authapp.logs.output.PIPE_BYTES", 1 << 16)  # where no more is granted
    reading, writing = pipe
    line = b"x" * (length - 1) + b"\n"
    written = write_until_full(LogOutput(writing), line)
    assert written >= 4
    assert os.get_blocking(writing), "others who have the pipe go on to wait"
    unblocked = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    for _ in range(room):
        assert os.write(unblocked, b"x" * 4095) == 4095
    os.close(unblocked)
    while len(os.read(reading, 1 << 20)) == 1 << 20:
        pass
    LogOutput(writing).write(line)


def test_a_socket_that_nobody_reads_is_full_and_keeps_its_flags() -> None:
    reading, writing = socket.socketpair()
    with reading, writing:
        output = LogOutput(writing.fileno())
        assert write_until_full(output, b"x" * 4095) > 1
        assert os.get_blocking(writing.fileno())
        with contextlib.suppress(BlockingIOError):
            while reading.recv(65536, socket.MSG_DONTWAIT):
                pass
        output.write(b"again\n")


def test_a_named_pipe_without_a_reader_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="No such device or address"):
        LogOutput(str(tmp_path / "log"))


def test_a_pipe_whose_reader_is_gone_is_an_error(pipe: tuple[int, int]) -> None:
    output = LogOutput(pipe[1])
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        output.write(b"x\n")


def test_a_line_after_a_part_of_one_begins_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    output, write = LogOutput(str(tmp_path / "log")), os.write
    output.write(b"whole\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        with pytest.raises(OSError, match="only a part"):
            output.write(b"part\n")
    for line in (b"first\n", b"second\n"):
        output.write(line)
    assert (tmp_path / "log").read_bytes() == b"whole\npar\nfirst\nsecond\n"


def test_the_handler_counts_what_it_cannot_write_and_says_so_with_the_next_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = handled_log(monkeypatch)
    with Path(os.devnull).open("w") as stream:
        pass
    for closed in (None, stream):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", closed)
            for _ in range(3):
                log.info("lost")
    report = "This log could not be written. Lines lost since this process started: "
    log.info("é")
    log.info("nothing new is lost")
    assert messages(capfd) == [f"{report}6", "é", "nothing new is lost"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Mock(side_effect=BrokenPipeError))
        log.info("lost")
    log.info("é")
    assert messages(capfd) == [f"{report}7", "é"]


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("message", ["%d is no number", Unprintable()], ids=["arguments", "no text"])
def test_a_message_that_cannot_be_formatted_is_named_by_its_place(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], message: object
) -> None:
    handled_log(monkeypatch).info(message, "one")
    [written] = messages(capfd)
    assert re.fullmatch(rf"A message could not be formatted: line \d+ of {__file__}", written)


def handled_log(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """Return a logger with a new handler of the server's."""
    log, handler = logging.getLogger("a test of the handler"), LogHandler()
    handler.setFormatter(LogFormatter(["level", "name", "message"]))
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "propagate", False)
    log.setLevel(logging.INFO)
    return log


def messages(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["message"] for line in capfd.readouterr().err.splitlines()]
