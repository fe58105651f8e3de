"""Benchmark of requests under load, with real gunicorns, a durable embedded PostgreSQL and wrk: ``make bench``.

Every measurement alternates with a bare Flask view in the same run, because machines differ, and the speed of one
machine changes within minutes. "L" is that view on gunicorn's sync worker, "hello" is the same on authapp's worker.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from authapp.security.keys import Key, KeyRing
from tools.bench import load
from tools.bench.load import Result
from tools.bench.mails import beside_mails
from tools.bench.seeding import AUDIENCE, ISSUER, PASSWORD, PEOPLE, Seed
from tools.bench.servers import HELLO, MODELS, OURS, ROOT, free_port, serving
from tools.embedded_postgres import EmbeddedPostgres

FOLDER = ROOT / "build" / "bench"
KEYS = KeyRing([Key.generate("ES256")]).to_json()
MOST_PER_SECOND = 4000
"""How many single-use tokens are prepared for each second of a run."""

FLOOD, MANY = 32, 64
"""The number of connections in a flood of logins, and in a run with many clients."""
API = "/api/v1"


@contextmanager
def database() -> Iterator[tuple[Seed, dict[str, str]]]:
    """Yield a seeded database, and the environment of a server that uses it. Every commit waits for the disk."""
    postgres = EmbeddedPostgres(FOLDER, ("shared_buffers=512MB", "max_wal_size=4GB", "synchronous_commit=on"))
    postgres.start()
    try:
        postgres.drop_database("requests")
        url = postgres.ensure_database("requests")
        environment = {
            "FLASK_APP": "wsgi.py",
            "AUTHAPP_ENV": "production",
            "AUTHAPP_DATABASE_URL": url,
            "AUTHAPP_JWT_KEYS": KEYS,
            "AUTHAPP_ISSUER": ISSUER,
            "AUTHAPP_AUDIENCE": AUDIENCE,
            # All requests come from one address, and wait in the hashing queue instead of being refused.
            **{f"AUTHAPP_RATE_LIMIT_{name}": "off" for name in ("LOGIN", "REGISTER", "REFRESH", "PASSWORD")},
            "AUTHAPP_HASHING_QUEUE_SECONDS": "60",
        }
        subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], check=True, cwd=ROOT, env=environment)
        seed = Seed(postgres.url("requests"), KEYS, FOLDER)
        try:
            yield seed, environment
        finally:
            seed.close()
    finally:
        postgres.stop()


def endpoints(seed: Seed, seconds: float) -> dict[str, Callable[[str], Result]]:
    """Return a function for each endpoint, which measures it on the server at a URL."""
    token, api_key, many = seed.token(), seed.api_key(), int(MOST_PER_SECOND * seconds)
    name = f'"person" .. (1 + at % {PEOPLE})'
    login = seed.bodies(
        "login", f"{API}/auth/login", f"""'{{"username":"' .. {name} .. '","password":"{PASSWORD}"}}'"""
    )
    runs = iter(range(1, 1000))

    def register(url: str) -> Result:
        new = f'"r{next(runs)}x" .. at'
        fields = f""""username":"' .. {new} .. '","email":"' .. {new} .. '@example.com","password":"{PASSWORD}" """
        script = seed.bodies("register", f"{API}/auth/register", f"'{{{fields}}}'")
        return load.run(url, seconds, script=script)

    def once_each(path: str, type_: str) -> Callable[[str], Result]:
        def measure(url: str) -> Result:
            script = seed.script(path.rpartition("/")[2], many, type_, path)
            seed.settle()
            return load.run(url, seconds, script=script)

        return measure

    # Read-only endpoints come first, because after writes PostgreSQL is busy with cleaning up for a while.
    return {
        "ping": lambda url: load.run(f"{url}{API}/ping", seconds, token=token),
        "ping, API key": lambda url: load.run(f"{url}{API}/ping", seconds, token=api_key),
        "me": lambda url: load.run(f"{url}{API}/users/me", seconds, token=token),
        "login": lambda url: load.run(url, seconds, script=login),
        "register": register,
        "refresh": once_each(f"{API}/auth/refresh", "refresh"),
        "logout": once_each(f"{API}/auth/logout", "access"),
    }


def compare(limit: str, hello: str, measures: dict[str, Callable[[], Result]], rounds: int, seconds: float) -> None:
    """Print a line for each measurement, with its ratio to both bare views, which are measured in turn with it."""
    print(f"{'':34} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'/ L':>6} {'/ hello':>8}", flush=True)
    for name, measure in measures.items():
        triples = [
            (load.run(f"{limit}/ping", seconds), load.run(f"{hello}/ping", seconds), measure()) for _ in range(rounds)
        ]
        least, same, ours = (Result.median(list(results)) for results in zip(*triples, strict=True))
        # Ratios are computed per round, because the machine may be half as fast a minute later.
        to_least, to_same = (median(triple[2].rate / triple[place].rate for triple in triples) for place in (0, 1))
        ratios = f"{to_least:6.2f} {to_same:8.2f}"
        refused = f"   {ours.refused} not 2xx" if ours.refused else ""
        print(f"{name:34} {ours.rate:8.0f} {ours.p50:8.2f} {ours.p99:8.2f} {ratios}{refused}", flush=True)
        if name == "ping":
            print(f"{'  L: hello, sync':34} {least.rate:8.0f} {least.p50:8.2f} {least.p99:8.2f}")
            print(f"{'  hello, on our worker':34} {same.rate:8.0f} {same.p50:8.2f} {same.p99:8.2f}", flush=True)


def flooded(ours: str, ping: Callable[[str], Result], login: Path, rounds: int, seconds: float) -> None:
    """Print the throughput and latency of ``/ping`` during a flood of logins."""
    pairs = []
    for _ in range(rounds):
        idle = ping(ours)
        line = load.command(ours, seconds + 3, script=login, connections=FLOOD)
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as flood:
            subprocess.run(["sleep", "1"], check=True)
            under = ping(ours)
            output, _ = flood.communicate()
        pairs.append((idle, under, load.parse(output)))
    idle, under, logins = (Result.median(list(results)) for results in zip(*pairs, strict=True))
    kept = median(pair[1].rate / pair[0].rate for pair in pairs)
    print(
        f"\n/ping: {idle.rate:.0f} req/s, p99 {idle.p99:.1f} ms; under a flood of logins over {FLOOD} connections "
        f"({logins.rate:.0f} a second) {under.rate:.0f} req/s, p99 {under.p99:.1f} ms: {kept:.2f}"
    )


def models(environment: dict[str, str], measures: dict[str, Any], many: Callable[[str], Result], rounds: int) -> None:
    """Print the results of each server model for ``/ping``, with few and many connections, and for logins."""
    print(f"{'':36} {'ping/s':>7} {'p99 ms':>7} {'me/s':>7} {f'ping/s, {MANY}':>11} {'p99 ms':>7} {'logins/s':>9}")
    measured: dict[str, list[tuple[Result, ...]]] = {name: [] for name in MODELS}
    for _ in range(rounds):
        for name, model in MODELS.items():
            # One server at a time, because idle servers would also take memory and CPU time.
            with serving((*model.arguments, *OURS), environment | model.environment) as url:
                load.run(f"{url}/health/live", 1)
                measured[name].append((measures["ping"](url), measures["me"](url), many(url), measures["login"](url)))
    for name, results in measured.items():
        ping, me, crowd, login = (Result.median(list(each)) for each in zip(*results, strict=True))
        columns = f"{ping.rate:7.0f} {ping.p99:7.1f} {me.rate:7.0f}"
        print(f"{name:36} {columns} {crowd.rate:11.0f} {crowd.p99:7.1f} {login.rate:9.0f}", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="the length of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each measurement; the median is printed")
    parser.add_argument("--full", action="store_true", help="also measure with 10 million blocklist entries")
    parser.add_argument("--mails", action="store_true", help="only measure what sending mails costs")
    parser.add_argument("--models", action="store_true", help="compare server models instead")
    arguments = parser.parse_args()
    load.check()
    rounds, seconds = arguments.rounds, arguments.seconds
    with ExitStack() as stack:
        seed, environment = stack.enter_context(database())
        measures = endpoints(seed, seconds)
        if arguments.models:
            token = seed.token()
            models(
                environment,
                measures,
                lambda url: load.run(f"{url}{API}/ping", seconds, token=token, connections=MANY),
                rounds,
            )
            return
        if arguments.mails:
            beside_mails(seed, environment, measures["ping"], rounds, seconds)
            return
        limit = stack.enter_context(serving(("--worker-class", "sync", *HELLO)))
        hello = stack.enter_context(serving(("--worker-class", "gevent", *HELLO)))
        ours = stack.enter_context(serving(OURS, environment))
        with_metrics = environment | {"AUTHAPP_METRICS": "on", "AUTHAPP_METRICS_BIND": f"127.0.0.1:{free_port()}"}
        counting = stack.enter_context(serving(OURS, with_metrics))
        seed.settle()
        compare(limit, hello, {"ping, metrics": lambda: measures["ping"](counting)}, rounds, seconds)
        compare(limit, hello, {name: lambda run=run: run(ours) for name, run in measures.items()}, rounds, seconds)
        flooded(ours, measures["ping"], FOLDER / "login.lua", rounds, seconds)
        beside_mails(seed, environment, measures["ping"], rounds, seconds)
        print()
        sizes = [0, 10_000, 1_000_000] + [10_000_000] * arguments.full
        for size in sizes:
            seed.fill_blocklist(size)
            compare(limit, hello, {f"ping, {size:,} revoked tokens": lambda: measures["ping"](ours)}, rounds, seconds)


if __name__ == "__main__":
    main()
