"""A body must be here in time, whichever way it is read."""

import io
from typing import Any

import pytest

from authapp.serving.request_body import BODY_TIMEOUT, RequestBody, RequestTimeout
from serving.running import printed


class Body(io.BytesIO):
    failed = False


class LateBody(Body):
    """Reads as if the timer had fired."""

    def read(self, *size: Any) -> bytes:
        raise RequestTimeout


def test_what_arrives_in_time_is_read_as_from_any_file() -> None:
    content = b"one\ntwo\nthree\nfour"
    body = RequestBody(Body(content))
    assert body.read(4) == b"one\n"
    assert body.readline() == b"two\n"
    assert body.readlines(1) == [b"three\n"]
    assert list(body) == [b"four"]
    assert body.read() == b""
    assert BODY_TIMEOUT == 10


def test_a_body_that_is_late_is_an_error_and_ends_its_connection() -> None:
    late = LateBody(b"")
    with pytest.raises(TimeoutError, match="did not arrive in time"):
        RequestBody(late).read()
    assert late.failed


SLOW_BODY = """
    import time
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
    body = RequestBody(slow, timeout=0.5)
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
            return RequestBody(Slow(), timeout=timeout).read(1)
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
