"""The time of a refused login tells nothing (ASVS 5.0, 6.3.8): on the real server, with the real cost of a hash."""

import time
from bisect import bisect_left, bisect_right

import pytest
import requests

from e2e.processes import Server, flask
from factories import PASSWORD

PAIRS = 400
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
@pytest.mark.parametrize("name", ["absent", "disabled"])
def test_a_refused_login_takes_as_long_whatever_the_reason(server: Server, name: str) -> None:
    # Of two equal distributions one sample in seventy is further apart than the tolerance, and three in a row are not.
    # Without the decoy hash every sample is near 0.
    areas: list[float] = []
    with requests.Session() as session:
        while len(areas) < ATTEMPTS and not any(abs(area - 0.5) <= TOLERANCE for area in areas):
            times = [(refused(session, server, name), refused(session, server, "present")) for _ in range(PAIRS)]
            areas.append(area_under_curve([pair[0] for pair in times], [pair[1] for pair in times]))
    assert any(abs(area - 0.5) <= TOLERANCE for area in areas), areas
