"""The loop looks for new clients between the requests of a crowd, and serves them in turn."""

import pytest

from serving.running import printed

PROGRAM = """
    from gevent import monkey
    monkey.patch_all()
    import gevent, time
    from gevent.socket import socketpair
    from authapp.serving.fair_scheduler import FairScheduler

    scheduler = FairScheduler()
    done = 0

    def answer(client):
        global done
        client.recv(1)
        {wait}
        end = time.monotonic() + 0.005
        while time.monotonic() < end:
            pass
        done += 1

    pairs = [socketpair() for _ in range(100)]
    jobs = [gevent.spawn(answer, client) for _, client in pairs]
    gevent.sleep(0.01)
    for server, _ in pairs:
        server.send(b"x")
    gevent.sleep(0.02)
    print(done < 50)
    gevent.joinall(jobs)
    print(done)
"""


@pytest.mark.parametrize(("wait", "gives_way"), [("scheduler.wait_while_busy()", True), ("pass", False)])
def test_a_newcomer_waits_for_few_of_a_hundred_requests_that_came_at_once(wait: str, gives_way: bool) -> None:
    assert printed(PROGRAM.format(wait=wait)) == f"{gives_way}\n100\n"


QUEUE = """
    from gevent import monkey
    monkey.patch_all()
    import gevent
    from authapp.serving.fair_scheduler import FairScheduler

    scheduler = FairScheduler()
    order = []

    def work(name):
        for _ in range(3):
            scheduler.wait_for_slot()
            order.append(name)

    gevent.joinall([gevent.spawn(work, name) for name in "abc"])
    print("".join(order))
"""


def test_whoever_has_had_a_turn_waits_behind_all_others() -> None:
    assert printed(QUEUE) == "abcabcabc\n"
