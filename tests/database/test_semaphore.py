"""FairSemaphore: handed over in turn, and never lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from authapp.database.semaphore import FairSemaphore
from database.test_wait_callback import under_gevent


def test_a_permit_goes_to_whoever_has_waited_longest() -> None:
    semaphore = FairSemaphore(1, cooperative=False)
    assert semaphore.acquire(0)
    order: list[int] = []
    threads = []
    for number in range(4):

        def wait(number: int = number) -> None:
            assert semaphore.acquire(10)
            order.append(number)

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
        time.sleep(0.05)
    for taken in range(1, 5):
        semaphore.release()
        # The permit is handed over as it is released: nobody can step in between.
        assert not semaphore.acquire(0)
        threads[taken - 1].join(10)
    assert order == [0, 1, 2, 3]


def test_a_wait_that_is_given_up_costs_no_permit() -> None:
    semaphore = FairSemaphore(2, cooperative=False)

    def hurry(number: int) -> bool:
        if not semaphore.acquire(0.001 * (number % 3)):
            return False
        time.sleep(0.001)
        semaphore.release()
        return True

    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(hurry, range(2000)))
    assert True in taken
    assert False in taken
    assert [semaphore.acquire(0) for _ in range(3)] == [True, True, False]


def test_a_greenlet_that_is_killed_while_it_waits_costs_no_permit() -> None:
    printed = under_gevent(
        """
        import gevent
        from authapp.database.semaphore import FairSemaphore

        semaphore = FairSemaphore(1, cooperative=True)
        semaphore.acquire(0)
        waiting = [gevent.spawn(semaphore.acquire, 10) for _ in range(3)]
        gevent.sleep(0.01)
        waiting[0].kill()
        waiting[1].kill(block=False)
        semaphore.release()  # handed over, and killed before it is taken
        gevent.sleep(0.01)
        print(waiting[2].get(timeout=1), semaphore.acquire(0))
        """
    )
    assert printed.split() == ["True", "False"]
