"""What sending mails costs the requests of the workers that send them: a part of ``make bench``."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from tools.bench.load import Result
from tools.bench.seeding import Seed
from tools.bench.servers import OURS, free_port, serving

MAILS = 1000


def beside_mails(
    seed: Seed, environment: Mapping[str, str], ping: Callable[[str], Result], rounds: int, seconds: float
) -> None:
    """Print the throughput and latency of ``/ping`` while no mail is queued, and while the workers send ``MAILS``."""
    pairs, rates = [], []
    with _mail_server() as variables, serving(OURS, environment | variables) as url:
        ping(url)
        for _ in range(rounds):
            idle = ping(url)
            seed.queue_mails(MAILS)
            while (before := seed.queued_mails()) == MAILS:
                time.sleep(0.01)
            pairs.append((idle, ping(url)))
            rates.append((before - seed.queued_mails()) / seconds)
            while seed.queued_mails():
                time.sleep(0.1)
    idle, under = (Result.median(list(results)) for results in zip(*pairs, strict=True))
    kept = median(pair[1].rate / pair[0].rate for pair in pairs)
    print(
        f"\n/ping: {idle.rate:.0f} req/s, p99 {idle.p99:.1f} ms; while {MAILS:,} mails are queued "
        f"({median(rates):.1f} sent a second) {under.rate:.0f} req/s, p99 {under.p99:.1f} ms: {kept:.2f}"
    )


@contextmanager
def _mail_server() -> Iterator[dict[str, str]]:
    """Run a server that takes every mail at once, and yield the settings to send to it."""
    server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield {
            "AUTHAPP_MAIL_URL": f"smtp://127.0.0.1:{server.port}?starttls=off",
            "AUTHAPP_MAIL_FROM": "no-reply@example.com",
        }
    finally:
        server.stop()
