"""The console for administrators, in a real browser and with the true API.

The tests are those of the scripts in ``console``, which drive Debian's Chromium. Set ``SCREENSHOTS`` to a folder to get
a picture of every view.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Databases
from e2e.chromium import Outcomes, drive, names_in, scripts_of
from e2e.processes import environment, flask, free_port, serving, with_mail

SCRIPTS = Path(__file__).parent / "console"
SUITES = ["users", "accounts", "access", "events", "looks"]
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def outcomes(databases: Databases, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    folder: Path = tmp_path_factory.mktemp("console")
    port = free_port()
    changes = {
        "PORT": str(port),
        "AUTHAPP_CONSOLE": "on",
        # The cookie is for pages at this address; those at 127.0.0.1 keep their tokens in memory.
        "AUTHAPP_ISSUER": f"http://localhost:{port}",
        "AUTHAPP_ORIGINS": f"http://localhost:{port}",
        "AUTHAPP_REFRESH_COOKIE": "on",
        # Only there may hashing be cheap.
        "AUTHAPP_ENV": "development",
        "AUTHAPP_ARGON2_MEMORY_KIB": "8",
        "AUTHAPP_ARGON2_TIME_COST": "1",
    }
    with databases.migrated() as url:
        variables = with_mail(environment(url, **changes), folder)
        command = ("users", "create", "root", "root@example.com", "--role", "admin", "--password-stdin")
        created = flask(variables, *command, stdin=PASSWORD)
        assert created.returncode == 0, created.stderr
        with serving(folder, variables, port=port) as server:
            where = {"url": f"http://localhost:{server.port}", "elsewhere": server.url}
            pictures = {"screenshots": os.environ.get("SCREENSHOTS", "")}
            yield drive(scripts_of(folder, SCRIPTS), chromium=chromium, suites=SUITES, **where, **pictures)


@pytest.mark.parametrize("name", [name for suite in SUITES for name in names_in(SCRIPTS / f"{suite}.mjs")])
def test_in_the_browser(outcomes: Outcomes, name: str) -> None:
    assert outcomes[name] is None, outcomes[name]
