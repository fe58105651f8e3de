"""Ports of the workers: no two of them share one, and no client is given one."""

from itertools import combinations
from pathlib import Path

from ports import free_port, ports_of_worker


def ports(worker: int, workers: int) -> set[int]:
    return set(ports_of_worker({"PYTEST_XDIST_WORKER": f"gw{worker}", "PYTEST_XDIST_WORKER_COUNT": str(workers)}))


def test_no_port_is_given_to_two_workers() -> None:
    for one, other in combinations([ports(worker, 3) for worker in range(3)], 2):
        assert one.isdisjoint(other)
    assert ports(0, 1) == set(ports_of_worker({}))


def test_no_port_is_one_that_a_client_may_be_given() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports_of_worker({})) < first


def test_no_port_is_given_twice_in_a_row() -> None:
    assert len({free_port() for _ in range(20)}) == 20
