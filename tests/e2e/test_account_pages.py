"""The pages to which links in mails lead, and the mails of a development server, in a real browser.

The tests are those of the scripts in ``account_pages``, which drive Debian's Chromium. They answer in place of the API,
but for those of ``journey.mjs``. Set ``SCREENSHOTS`` to a folder to get a picture of every step of every page.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from authapp.domain.token_purposes import token_purposes
from databases import Databases
from e2e.chromium import HARNESS as SCRIPTS
from e2e.chromium import Outcomes, drive, names_in, scripts_of
from e2e.node import background_node
from e2e.processes import Server, environment, free_port

PAGES = [purpose.replace("_", "-") for purpose in token_purposes]
"""The pages that the scripts open: one for each purpose of a link."""

SUITES = ["answers", "login", "mails", "looks"]
JOURNEY, PASSKEYS, PROVIDERS = "journey", "passkeys", "providers"
ROUTES_OF_JOURNEY = [f"/api/v1/auth/{noun}" for noun in ("email-verifications", "login-links", "password-resets")]


def token() -> str:
    (found,) = re.findall(r'TOKEN = "(.+)"', (SCRIPTS / "browser.mjs").read_text())
    return str(found)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts_of(tmp_path_factory.mktemp("browser"))


def mail_variables(folder: Path, **changes: str) -> dict[str, str]:
    return {
        "AUTHAPP_MAIL_URL": folder.as_uri(),
        "AUTHAPP_MAIL_FROM": "Example accounts <no-reply@example.com>",
        "AUTHAPP_LOGIN_LINKS": "on",
        **changes,
    }


@contextmanager
def running(databases: Databases, folder: Path, port: int | None = None, **changes: str) -> Iterator[Server]:
    """Run a server with mail, whose links lead to itself."""
    port = port or free_port()
    given = {
        "AUTHAPP_ISSUER": f"http://127.0.0.1:{port}",
        "AUTHAPP_MAIL_URL": folder.as_uri(),
        "AUTHAPP_MAIL_FROM": "Example accounts <no-reply@example.com>",
        "AUTHAPP_LOGIN_LINKS": "on",
        "AUTHAPP_RATE_LIMIT_MAIL": "off",
        "AUTHAPP_ORIGINS": f"http://localhost:{port}",
        "WEB_CONCURRENCY": "1",
    }
    with databases.migrated() as url:
        server = Server(folder, environment(url, **given, **changes), port)
        try:
            server.wait_until(seconds=60)
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def production(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(databases, tmp_path_factory.mktemp("production"), AUTHAPP_TRUSTED_PROXIES="1") as server:
        yield server


@pytest.fixture(scope="module")
def development(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A development server that requires verification, with two mails in its folder."""
    folder: Path = tmp_path_factory.mktemp("development")
    changes = {"AUTHAPP_ENV": "development", "AUTHAPP_EMAIL_VERIFICATION": "required"}
    with running(databases, folder, **changes) as server:
        write_mails(folder, f"{server.url}/account/reset-password#token={token()}")
        yield server


@pytest.fixture(scope="module")
def optional(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A development server as ``make run`` starts it."""
    with running(databases, tmp_path_factory.mktemp("optional"), AUTHAPP_ENV="development") as server:
        yield server


def write_mails(folder: Path, link: str) -> None:
    """Write a hostile mail, and a newer one with ``link``."""
    hostile, reset = EmailMessage(), EmailMessage()
    for mail, subject in ((hostile, "A hostile mail <b>subject</b>"), (reset, "Reset your password")):
        mail["Subject"], mail["To"] = subject, "ada@example.com"
    hostile.set_content("<script>document.title = 'Mine'</script>")
    hostile.add_alternative(
        '<p style="color: rgb(1, 2, 3)">Styled</p><script>parent.document.title = "Mine"</script>'
        '<img src="https://tracker.example/pixel">',
        subtype="html",
    )
    reset.set_content(f"Hello ada,\n\nopen this link to choose a new password:\n\n{link}\n\nIt works for 60 minutes.\n")
    reset.add_alternative(f'<p>Hello ada</p><p><a href="{link}">Choose a new password</a></p>', subtype="html")
    for number, mail in enumerate((hostile, reset)):
        path = folder / f"{number}.eml"
        path.write_bytes(mail.as_bytes())
        os.utime(path, (number, number))


@pytest.fixture(scope="module")
def outcomes(scripts: Path, chromium: str, production: Server, development: Server) -> Outcomes:
    screenshots = os.environ.get("SCREENSHOTS") or str(scripts / "screenshots")
    urls = {"url": production.url, "development": development.url}
    return drive(scripts, chromium=chromium, suites=SUITES, pages=PAGES, screenshots=screenshots, **urls)


@pytest.mark.parametrize("name", [name for suite in SUITES for name in names_in(SCRIPTS / f"{suite}.mjs")])
def test_in_the_browser(outcomes: Outcomes, name: str) -> None:
    assert outcomes[name] is None, outcomes[name]


def test_every_test_of_the_scripts_is_run(outcomes: Outcomes) -> None:
    assert list(outcomes) == [name for suite in SUITES for name in names_in(SCRIPTS / f"{suite}.mjs")]


@pytest.fixture(scope="module")
def journeys(scripts: Path, chromium: str, optional: Server, development: Server) -> Outcomes:
    paths = optional.call("GET", "/openapi.json").json()["paths"]
    missing = [route for route in ROUTES_OF_JOURNEY if route not in paths]
    if missing:
        pytest.skip(f"The API has no {', '.join(missing)}.")
    return drive(scripts, chromium=chromium, suites=[JOURNEY], optional=optional.url, required=development.url)


@pytest.mark.parametrize("name", names_in(SCRIPTS / f"{JOURNEY}.mjs"))
def test_a_journey_with_the_true_api(journeys: Outcomes, name: str) -> None:
    assert journeys[name] is None, journeys[name]


@pytest.fixture(scope="module")
def ceremonies(scripts: Path, chromium: str, optional: Server, development: Server) -> Outcomes:
    return drive(scripts, chromium=chromium, suites=[PASSKEYS], optional=optional.url, required=development.url)


@pytest.mark.parametrize("name", names_in(SCRIPTS / f"{PASSKEYS}.mjs"))
def test_a_passkey_in_the_browser(ceremonies: Outcomes, name: str) -> None:
    assert ceremonies[name] is None, ceremonies[name]


@pytest.fixture(scope="module")
def by_provider(
    scripts: Path, chromium: str, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Outcomes:
    folder, issuer_port, port = tmp_path_factory.mktemp("providers"), free_port(), free_port()
    page = f"http://localhost:{port}/account/login"
    client = {"clientId": "authapp-client", "clientSecret": "between us and nobody else", "redirectUris": [page]}
    (folder / "secret").write_text(client["clientSecret"])
    example = {"issuer": f"http://localhost:{issuer_port}", "client_id": client["clientId"]}
    variables = {
        "AUTHAPP_PROVIDERS": json.dumps({"example": {**example, "client_secret_file": str(folder / "secret")}}),
        "AUTHAPP_REDIRECT_URIS": page,
    }
    with openid_provider(scripts, port=issuer_port, **client), running(databases, folder, port, **variables):
        return drive(scripts, chromium=chromium, suites=[PROVIDERS], providers=f"http://localhost:{port}")


@contextmanager
def openid_provider(scripts: Path, **settings: object) -> Iterator[None]:
    command = background_node(scripts, "provider.mjs", json.dumps(settings))
    with subprocess.Popen(command, cwd=scripts, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "listening" in process.stdout.readline()
            yield
        finally:
            process.terminate()


@pytest.mark.parametrize("name", names_in(SCRIPTS / f"{PROVIDERS}.mjs"))
def test_a_login_by_a_provider_in_the_browser(by_provider: Outcomes, name: str) -> None:
    assert by_provider[name] is None, by_provider[name]
