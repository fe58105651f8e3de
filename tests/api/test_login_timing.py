"""The time of a refused login tells nothing (ASVS 5.0, 6.3.8)."""

import time
from bisect import bisect_left, bisect_right

import pytest
from flask import Flask

from authapp import create_app
from authapp.domain import UseCases
from databases import Databases
from factories import Api, a_user
from settings import settings

PAIRS = 400
TOLERANCE = 0.05
ATTEMPTS = 4


def area_under_curve(some: list[float], others: list[float]) -> float:
    """Return the chance that one of ``some`` is longer than one of ``others`` (the Mann-Whitney statistic)."""
    ordered = sorted(others)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in some)
    return below / (2 * len(some) * len(others))


def seconds(api: Api, name: str) -> float:
    start = time.perf_counter()
    assert api.log_in(name, "not the password").status_code == 401
    return time.perf_counter() - start


@pytest.mark.committed
@pytest.mark.parametrize("name", ["absent", "disabled"])
def test_a_refused_login_takes_as_long_whatever_the_reason(databases: Databases, name: str) -> None:
    with databases.migrated() as url:
        # A hash that takes longer than everything else together, and still lets the test end.
        app: Flask = create_app(settings(database_url=url, argon2_memory_kib=2048, argon2_time_cost=1))
        a_user(app, "present")
        a_user(app, "disabled")
        with app.app_context():
            UseCases.of(app).accounts.disable("disabled")
        api = Api(app.test_client())
        # Of two equal distributions one sample in seventy is further apart than this; four in a row are not. Without
        # the decoy every sample is at 0 or 1.
        areas = []
        while len(areas) < ATTEMPTS and not any(abs(area - 0.5) <= TOLERANCE for area in areas):
            times = [(seconds(api, name), seconds(api, "present")) for _ in range(PAIRS)]
            areas.append(area_under_curve([pair[0] for pair in times], [pair[1] for pair in times]))
        assert any(abs(area - 0.5) <= TOLERANCE for area in areas), areas
