"""Generating load with wrk (https://github.com/wg/wrk)."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CONNECTIONS = 8
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Result:
    """The result of one run: requests per second, latencies in milliseconds, and responses other than 2xx."""

    rate: float
    p50: float
    p99: float
    refused: int = 0

    @classmethod
    def median(cls, results: list["Result"]) -> "Result":
        """Return the median of each figure, and the sum of the refused requests."""
        figures = ("rate", "p50", "p99")
        medians = {name: median(getattr(result, name) for result in results) for name in figures}
        return cls(**medians, refused=sum(result.refused for result in results))


def check() -> None:
    """Exit with a hint if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("make bench needs wrk: on Debian, apt install wrk")


def command(url: str, seconds: float, *, token: str = "", script: Path | None = None, connections: int) -> list[str]:
    """Return the command line of wrk for a run."""
    options = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "--timeout", "10s"]
    if token:
        options += ["-H", f"Authorization: Bearer {token}"]
    if script:
        options += ["-s", str(script)]
    return ["wrk", *options, url]


def run(
    url: str, seconds: float, *, token: str = "", script: Path | None = None, connections: int = CONNECTIONS
) -> Result:
    """Send requests for ``seconds`` over ``connections``, each as soon as the previous one was answered."""
    line = command(url, seconds, token=token, script=script, connections=connections)
    return parse(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def parse(output: str) -> Result:
    """Return the result in the output of wrk. Raises ``RuntimeError`` if it lost connections."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    lost = re.search(r"Socket errors: .*", output)
    if lost and any(int(count) for count in re.findall(r"\d+", lost[0])):
        raise RuntimeError(f"wrk lost connections: {lost[0]}")
    return Result(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", output)),
        p50=_milliseconds(_found(r"^\s+50%\s+(\S+)\s*$", output)),
        p99=_milliseconds(_found(r"^\s+99%\s+(\S+)\s*$", output)),
        refused=int(refused[1]) if refused else 0,
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"the output of wrk has no match for {pattern}:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]
