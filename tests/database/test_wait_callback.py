"""Waiting on an event loop, in a process of its own, where gevent has replaced the sockets as in a worker."""

import subprocess
import sys
import textwrap


def under_gevent(program: str) -> str:
    """Return what ``program`` prints."""
    start = "from gevent import monkey\nmonkey.patch_all()\n"
    command = [sys.executable, "-c", start + textwrap.dedent(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def test_the_clock_of_an_event_loop_serves_every_application_of_its_process() -> None:
    printed = under_gevent(
        """
        import socket, time
        import gevent, psycopg2
        from authapp.database import wait_callback

        silent = socket.create_server(("127.0.0.1", 0))
        ticks = []
        gevent.spawn(lambda: [(gevent.sleep(0.01), ticks.append(time.monotonic())) for _ in range(400)])
        for _ in range(2):
            wait_callback.install()
            start = time.monotonic()
            try:
                with gevent.Timeout(5):
                    psycopg2.connect(
                        host="127.0.0.1",
                        port=silent.getsockname()[1],
                        connection_factory=wait_callback.connections_with(0.3),
                    )
            except wait_callback.AnswerTimeout:
                print(round(time.monotonic() - start, 1))
        print(max(later - sooner for sooner, later in zip(ticks, ticks[1:])) < 0.2)
        """
    )
    first, second, others_went_on = printed.split()
    assert 0.2 < float(first) < 1
    assert 0.2 < float(second) < 1
    assert others_went_on == "True"
