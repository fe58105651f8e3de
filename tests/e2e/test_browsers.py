"""CORS and the refresh cookie in a real browser, by TLS, with pages of listed and of hostile origins.

The tests are those of the scripts in ``browsers``, which drive Debian's Chromium. It takes every name for this machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Databases
from e2e.chromium import Outcomes, drive, names_in, scripts_of
from e2e.processes import Server, environment, free_port
from serving.certificates import write_certificate

SCRIPTS = Path(__file__).parent / "browsers"
SUITES = ["cors", "cookie", "docs"]
ARGS = ["--host-resolver-rules=MAP * 127.0.0.1", "--ignore-certificate-errors"]


@pytest.fixture(scope="module")
def outcomes(databases: Databases, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    folder: Path = tmp_path_factory.mktemp("browsers")
    certificate, key = write_certificate(folder)
    port, pages = free_port(), free_port()
    changes = {
        "AUTHAPP_ISSUER": f"https://auth.example.com:{port}",
        "AUTHAPP_CORS_ORIGINS": f"https://app.example.com:{pages}",
        "AUTHAPP_REFRESH_COOKIE": "on",
        "AUTHAPP_LOGIN_FAILURES_PER_ACCOUNT": "2",
        "GUNICORN_CMD_ARGS": f"--certfile {certificate} --keyfile {key}",
    }
    with databases.migrated() as url:
        server = Server(folder, environment(url, **changes), port, certificate=certificate)
        try:
            server.wait_until()
            api = f"https://auth.example.com:{port}"
            files = {"cert": str(certificate), "key": str(key), "screenshots": os.environ.get("SCREENSHOTS", "")}
            yield drive(
                scripts_of(folder, SCRIPTS), chromium=chromium, suites=SUITES, args=ARGS, api=api, port=pages, **files
            )
        finally:
            server.stop()


@pytest.mark.parametrize("name", [name for suite in SUITES for name in names_in(SCRIPTS / f"{suite}.mjs")])
def test_in_the_browser(outcomes: Outcomes, name: str) -> None:
    assert outcomes[name] is None, outcomes[name]
