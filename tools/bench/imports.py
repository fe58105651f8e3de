"""Benchmark of an import: ``make bench-import``. Lines a second, and the memory at 10 % and at 100 % of the lines."""

import argparse
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from authapp import create_app
from authapp.config import Settings
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.imports.imports import ImportOptions
from authapp.domain.imports.lines import Line
from authapp.domain.services import Services
from authapp.security.keys import Key, KeyRing
from tools.embedded_postgres import FAST_AND_LOSSY, EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent.parent
BCRYPT = "$2b$10$2k/V4cetQI9Aopa/rhuYZuprGPx2LisN6nLZancMC/mX53u21S.ti"


def generated(lines: int, *, made_usernames: bool) -> Iterator[Line]:
    """Yield lines with an address and a bcrypt hash, and with a username unless it is made of the address."""
    for number in range(1, lines + 1):
        fields = {"email": f"person{number}@example.com", "password_hash": BCRYPT, "email_verified": True}
        if not made_usernames:
            fields["username"] = f"name{number}"
        yield number, json.dumps(fields).encode()


def memory_mib() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


@contextmanager
def application() -> Iterator[Flask]:
    """Yield an application on an empty database. Commits do not wait for the disk."""
    postgres = EmbeddedPostgres(ROOT / "build" / "bench", (*FAST_AND_LOSSY, "shared_buffers=512MB"))
    postgres.start()
    try:
        postgres.drop_database("imports")
        url = postgres.ensure_database("imports")
        keys = KeyRing([Key.generate()]).to_json()
        app = create_app(Settings(database_url=url, jwt_keys=keys, env="development"))
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            yield app
            db.engine.dispose()
    finally:
        postgres.stop()


def main() -> None:
    """Import generated lines, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--made-usernames", action="store_true", help="leave the usernames out")
    arguments = parser.parse_args()
    with application() as app:
        lines = generated(arguments.lines, made_usernames=arguments.made_usernames)
        start, at_a_tenth = time.perf_counter(), 0.0
        for batch in Services.of(app).imports.import_from(lines, ImportOptions(), OPERATOR):
            if batch.errors:
                raise RuntimeError(f"line {batch.errors[0].line}: {batch.errors[0].reason}")
            if not at_a_tenth and batch.last_line >= arguments.lines / 10:
                at_a_tenth = memory_mib()
        seconds = time.perf_counter() - start
        processor = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        print(f"{arguments.lines:,} lines in {seconds:.1f} s: {arguments.lines / seconds:,.0f} a second")
        print(f"processor time outside PostgreSQL, with the start: {processor:.1f} s")
        print(f"memory: {at_a_tenth:.1f} MiB at 10 %, {memory_mib():.1f} MiB at 100 %")


if __name__ == "__main__":
    main()
