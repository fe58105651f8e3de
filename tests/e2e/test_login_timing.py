"""The time of a refused login tells nothing (ASVS 5.0, 6.3.8): on the real server, with the real cost of a hash."""

import time
from bisect import bisect_left, bisect_right

import psycopg2
import pytest
import requests

from e2e.processes import Server, flask
from factories import PASSWORD

# Times are compared with each other, and what runs beside them is noise.
pytestmark = pytest.mark.alone

SAMPLES = 400
TOLERANCE = 0.05
ATTEMPTS = 3
FORGIVEN_AFTER = 50
"""More failures in a row than the limits of an account let through are needed here."""


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


def forgive(variables: dict[str, str]) -> None:
    """Forget every failure, those of names that nobody has too."""
    address = variables["AUTHAPP_DATABASE_URL"].replace("+psycopg2", "")
    with psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM login_throttles")
    connection.close()


@pytest.fixture(scope="module")
def accounts(server: Server, variables: dict[str, str]) -> None:
    for name in ("present", "disabled"):
        account = [name, f"{name}@example.com", "--password-stdin"]
        assert flask(variables, "users", "create", *account, stdin=PASSWORD).returncode == 0
    assert flask(variables, "users", "disable", "disabled").returncode == 0


@pytest.mark.usefixtures("accounts")
def test_a_refused_login_takes_as_long_whatever_the_reason(server: Server, variables: dict[str, str]) -> None:
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
            rounds = []
            for number in range(SAMPLES):
                if number % FORGIVEN_AFTER == 0:
                    forgive(variables)
                rounds.append([refused(session, server, name) for name in ["present", *names]])
            present, *others = zip(*rounds, strict=True)
            for name, times in zip(names, others, strict=True):
                areas[name].append(area_under_curve(list(times), list(present)))
    assert all(map(alike, areas)), areas
