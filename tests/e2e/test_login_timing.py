"""The time of a refused login tells nothing (ASVS 5.0, 6.3.8): on the real server, with the real cost of a hash."""

import time
from bisect import bisect_left, bisect_right

import pytest
import requests

from e2e.processes import Server, flask
from factories import PASSWORD

SAMPLES = 400
TOLERANCE = 0.05
ATTEMPTS = 3


def area_under_curve(some: list[float], others: list[float]) -> float:
    """Return the chance that one of ``some`` is longer than one of ``others`` (the Mann-Whitney statistic)."""
    ordered = sorted(others)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in some)
    return below / (2 * len(some) * len(others))


def refused(session: requests.Session, server: Server, name: str) -> float:
    """Return how many seconds the refusal of a login takes."""
    start = time.perf_counter()
    body = {"username": name, "password": "not the password"}
    assert session.post(f"{server.url}/api/v1/auth/login", json=body, timeout=30).status_code == 401
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def accounts(server: Server, variables: dict[str, str]) -> None:
    for name in ("present", "disabled"):
        account = [name, f"{name}@example.com", "--password-stdin"]
        assert flask(variables, "users", "create", *account, stdin=PASSWORD).returncode == 0
    assert flask(variables, "users", "disable", "disabled").returncode == 0


@pytest.mark.usefixtures("accounts")
def test_a_refused_login_takes_as_long_whatever_the_reason(server: Server) -> None:
    # Of two equal distributions one sample in seventy is further apart than the tolerance, and three in a row are not.
    # Without the decoy hash every sample is near 0.
    areas: dict[str, list[float]] = {"absent": [], "disabled": []}

    def alike(name: str) -> bool:
        return any(abs(area - 0.5) <= TOLERANCE for area in areas[name])

    with requests.Session() as session:
        for _ in range(ATTEMPTS):
            if all(map(alike, areas)):
                break
            names = [name for name in areas if not alike(name)]
            rounds = [[refused(session, server, name) for name in ["present", *names]] for _ in range(SAMPLES)]
            present, *others = zip(*rounds, strict=True)
            for name, times in zip(names, others, strict=True):
                areas[name].append(area_under_curve(list(times), list(present)))
    assert all(map(alike, areas)), areas
