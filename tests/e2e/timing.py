"""Whether two kinds of requests can be told apart by their time (ASVS 5.0, 6.3.8)."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

SAMPLES = 400
TOLERANCE = 0.05
ATTEMPTS = 3


def area_under_curve(some: list[float], others: list[float]) -> float:
    """Return the chance that one of ``some`` is longer than one of ``others`` (the Mann-Whitney statistic)."""
    ordered = sorted(others)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in some)
    return below / (2 * len(some) * len(others))


def told_apart(
    send: Callable[[str], None],
    reference: str,
    others: Iterable[str],
    before_round: Callable[[int], None] | None = None,
    samples: int = SAMPLES,
) -> dict[str, list[float]]:
    """Send interleaved requests of each kind; return the areas of those that differ from ``reference`` each time.

    Of two equal distributions one sample in seventy is further apart than the tolerance, and three in a row are not.
    With 150 ``samples`` it is one in eight.
    """
    areas: dict[str, list[float]] = {kind: [] for kind in others}
    kinds = list(areas)
    for _ in range(ATTEMPTS):
        times = _times(send, [reference, *kinds], before_round, samples)
        for kind in kinds:
            areas[kind].append(area_under_curve(times[kind], times[reference]))
        kinds = [kind for kind in kinds if abs(areas[kind][-1] - 0.5) > TOLERANCE]
        if not kinds:
            break
    return {kind: areas[kind] for kind in kinds}


def _times(
    send: Callable[[str], None], kinds: Sequence[str], before_round: Callable[[int], None] | None, samples: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(samples):
        if before_round:
            before_round(number)
        for kind in kinds:
            start = time.perf_counter()
            send(kind)
            times[kind].append(time.perf_counter() - start)
    return times
