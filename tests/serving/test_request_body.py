"""A body must be here in time, whichever way it is read."""

import io
from typing import Any
from unittest.mock import MagicMock

import pytest

from authapp.serving.request_body import BODY_TIMEOUT, RequestBody, RequestTimeout
from serving.running import printed

CLIENT: Any = MagicMock()


class Body(io.BytesIO):
    failed = False


class LateBody(Body):
    """Reads as if the timer had fired."""

    def read(self, *size: Any) -> bytes:
        raise RequestTimeout


def test_what_arrives_in_time_is_read_as_from_any_file() -> None:
    content = b"one\ntwo\nthree\nfour"
    body = RequestBody(Body(content), CLIENT, len(content))
    assert body.read(4) == b"one\n"
    assert body.readline() == b"two\n"
    assert body.readlines(1) == [b"three\n"]
    assert list(body) == [b"four"]
    assert body.read() == b""
    assert BODY_TIMEOUT == 10


def test_none_and_a_hint_are_what_they_are_for_any_file() -> None:
    content = b"one\ntwo\nthree\n"
    assert RequestBody(Body(content), CLIENT, None).read(None) == content
    assert RequestBody(Body(content), CLIENT, None).readline(None) == b"one\n"
    assert RequestBody(Body(content), CLIENT, None).readlines(None) == content.splitlines(keepends=True)
    assert RequestBody(Body(content), CLIENT, None).readlines(5) == [b"one\n", b"two\n"]


@pytest.mark.parametrize(("length", "read", "arrived"), [(4, 4, True), (4, 3, True), (40_000, 3, False), (9, 3, False)])
def test_a_short_body_that_has_arrived_need_not_have_been_read(length: int, read: int, arrived: bool) -> None:
    body = RequestBody(Body(b"body"), CLIENT, length)
    body.read(read)
    assert body.has_arrived() is arrived
    assert body.read() == b"body"[read:], "nothing is lost"


@pytest.mark.parametrize(("read", "arrived"), [(3, False), (4, False), (5, True)])
def test_a_chunked_body_has_arrived_when_its_end_was_seen(read: int, arrived: bool) -> None:
    body = RequestBody(Body(b"body"), CLIENT, None)
    body.read(read)
    assert body.has_arrived() is arrived


def test_a_body_that_is_late_is_an_error_and_ends_its_connection() -> None:
    late = LateBody(b"")
    with pytest.raises(TimeoutError, match="did not arrive in time"):
        RequestBody(late, CLIENT, 1).read()
    assert late.failed


SLOW_BODY = """
    import time
    from unittest.mock import Mock
    import gevent
    from authapp.serving.request_body import RequestBody

    class Slow:
        failed = False
        def read(self, size=0):
            gevent.sleep({pause})
            return b"x"
        readline = read

"""


def test_all_reads_together_have_the_time_of_one() -> None:
    out = printed(
        SLOW_BODY.format(pause=0.2)
        + """
    slow, reads, start = Slow(), 0, time.monotonic()
    body = RequestBody(slow, Mock(), 1000, timeout=0.5)
    try:
        while True:
            body.read(1) if reads % 2 else body.readline()
            reads += 1
    except TimeoutError:
        print(reads, slow.failed, 0.4 < time.monotonic() - start < 0.7)
        """
    )
    assert out == "2 True True\n"


def test_a_slow_body_stops_nobody_else_and_leaves_no_timer() -> None:
    out = printed(
        SLOW_BODY.format(pause=0.3)
        + """
    def one(timeout):
        try:
            return RequestBody(Slow(), Mock(), 1000, timeout=timeout).read(1)
        except TimeoutError:
            return None

    jobs = [gevent.spawn(one, timeout) for timeout in (0.1, 1, 0.1, 1)]
    gevent.joinall(jobs)
    print([job.value for job in jobs])
    gevent.sleep(1)
    print("nothing was raised later")
        """
    )
    assert out == "[None, b'x', None, b'x']\nnothing was raised later\n"
