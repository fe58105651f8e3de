"""The oldest PostgreSQL that docs/operations.md promises is Debian's; all other tests run on the wheel's."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.embedded_postgres import FAST_AND_LOSSY, EmbeddedPostgres

from authapp.cli.checks.database import OLDEST_MAJOR
from e2e.processes import ROOT

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
TESTS = [
    *("tests/models/test_schema.py", "tests/models/test_migration_transactions.py"),
    *("tests/database", "--ignore=tests/database/test_reasons.py", "--ignore=tests/database/test_host_names.py"),
    *("tests/api/test_login.py", "tests/api/test_logout.py", "tests/api/test_users_pages.py"),
]
"""Migrations and each kind of statement: what another PostgreSQL may not know or do differently."""


@pytest.fixture(params=INSTALLED or [None], ids=lambda folder: folder and folder.parent.name)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a server of each version that is installed."""
    if request.param is None:
        reason = "No other PostgreSQL is installed: on Debian, `apt install postgresql` installs one."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    server = EmbeddedPostgres(tmp_path / "postgres", FAST_AND_LOSSY, request.param)
    server.start()
    try:
        yield server.url("postgres")
    finally:
        server.stop()


def test_another_version_of_postgresql_will_do(address: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"TEST_DATABASE_URL": address}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


@pytest.mark.skipif(not os.environ.get("CI"), reason="Only CI has the packages of a certain Debian.")
def test_one_of_them_is_the_oldest() -> None:
    assert str(OLDEST_MAJOR) in {folder.parent.name for folder in INSTALLED}


def test_the_oldest_version_is_the_one_that_the_documentation_names() -> None:
    (named,) = re.findall(r"PostgreSQL (\d+) to \d+ are supported", (ROOT / "docs" / "operations.md").read_text())
    assert int(named) == OLDEST_MAJOR
