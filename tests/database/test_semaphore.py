"""FairSemaphore: handed over in turn, and never lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from database.test_wait_callback import under_gevent

from authapp.database.semaphore import FairSemaphore


def test_a_place_goes_to_who_has_waited_longest_and_not_to_who_comes_by() -> None:
    places = FairSemaphore(1, cooperative=False)
    assert places.acquire(0)
    order: list[int] = []
    threads = []
    for number in range(4):

        def wait(number: int = number) -> None:
            assert places.acquire(10)
            order.append(number)

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
        time.sleep(0.05)
    for taken in range(1, 5):
        places.release()
        # The place is taken by the time that it is left: nobody can step in between.
        assert not places.acquire(0)
        threads[taken - 1].join(10)
    assert order == [0, 1, 2, 3]


def test_who_gives_up_takes_no_place_with_them() -> None:
    places = FairSemaphore(2, cooperative=False)

    def hurry(number: int) -> bool:
        if not places.acquire(0.001 * (number % 3)):
            return False
        time.sleep(0.001)
        places.release()
        return True

    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(hurry, range(2000)))
    assert True in taken
    assert False in taken
    assert [places.acquire(0) for _ in range(3)] == [True, True, False]


def test_a_greenlet_that_is_killed_while_it_waits_takes_no_place_with_it() -> None:
    told = under_gevent(
        """
        import gevent
        from authapp.database.semaphore import FairSemaphore

        places = FairSemaphore(1, cooperative=True)
        places.acquire(0)
        waiting = [gevent.spawn(places.acquire, 10) for _ in range(3)]
        gevent.sleep(0.01)
        waiting[0].kill()
        waiting[1].kill(block=False)
        places.release()  # handed over, and killed before it is taken
        gevent.sleep(0.01)
        print(waiting[2].get(timeout=1), places.acquire(0))
        """
    )
    assert told.split() == ["True", "False"]
