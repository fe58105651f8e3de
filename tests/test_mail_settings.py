"""The settings of mail: what they accept, and what a wrong one is told."""

from pathlib import Path

import pytest

from authapp.config import MailServer, RateLimit, Settings
from authapp.extension import load_settings
from settings import KEYS
from variables import Set, production, the_problem

MAIL = {
    "AUTHAPP_MAIL_URL": "smtp://user:s%40cret@mail.example.com",
    "AUTHAPP_MAIL_FROM": "Accounts <no-reply@example.com>",
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path, **MAIL)


def server(value: str, env: Set) -> MailServer:
    env(AUTHAPP_MAIL_URL=value)
    found = load_settings().mail_url
    assert found is not None
    return found


def test_a_server_takes_starttls_and_the_submission_port_by_default(env: Set) -> None:
    found = server("smtp://user:s%40cret@mail.example.com", env)

    assert (found.kind, found.host, found.port, found.tls) == ("smtp", "mail.example.com", 587, "starttls")
    assert (found.username, found.password) == ("user", "s@cret")
    assert "s@cret" not in repr(load_settings())


def test_tls_can_be_implicit_or_off(env: Set) -> None:
    assert (server("smtps://mail.example.com", env).port, server("smtps://m.example", env).tls) == (465, "implicit")
    off = server("smtp://127.0.0.1:2525?starttls=off", env)
    assert (off.host, off.port, off.tls) == ("127.0.0.1", 2525, "off")


def test_mails_can_go_to_a_folder_or_to_the_console(env: Set, tmp_path: Path) -> None:
    assert server(tmp_path.as_uri(), env) == MailServer("file", folder=tmp_path)
    assert server("console://", env).kind == "console"


@pytest.mark.parametrize(
    "value",
    [
        "mail.example.com",
        "smtp://",
        "smtp://host:port",
        "smtp://host?tls=off",
        "smtps://host?starttls=off",
        "file://host/folder",
        "smtp://user:s3cret@host/path",
    ],
)
def test_what_is_no_server_is_named_without_its_secret(env: Set, value: str) -> None:
    env(AUTHAPP_MAIL_URL=value)

    found = the_problem()
    assert found.startswith("AUTHAPP_MAIL_URL ")
    assert "s3cret" not in found


def test_another_scheme_is_left_to_the_transport_of_that_name(env: Set) -> None:
    found = server("acme://:s3cret@host?x=1", env)
    assert (found.kind, found.url) == ("acme", "acme://:s3cret@host?x=1")
    assert "s3cret" not in repr(found)


def test_a_server_needs_a_sender(env: Set) -> None:
    env(AUTHAPP_MAIL_FROM=None)
    assert the_problem() == "AUTHAPP_MAIL_FROM is missing: AUTHAPP_MAIL_URL needs a sender."


@pytest.mark.parametrize(
    "value",
    [
        "nobody",
        "a@b@c",
        "Accounts <no-reply@example.com>\nBcc: x@example.com",
        "a@b.example, c@d.example",
        "Doe, Jane <a@b.example>",
    ],
)
def test_what_is_no_sender_is_refused(env: Set, value: str) -> None:
    env(AUTHAPP_MAIL_FROM=value)
    assert the_problem().startswith("AUTHAPP_MAIL_FROM must be a sender")


def test_verification_cannot_be_required_without_mail(env: Set) -> None:
    env(AUTHAPP_MAIL_URL=None, AUTHAPP_MAIL_FROM=None, AUTHAPP_EMAIL_VERIFICATION="required")
    assert the_problem() == "AUTHAPP_MAIL_URL is missing: AUTHAPP_EMAIL_VERIFICATION=required needs it."


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.com/{purpose}?token={token}",
        "https://app.example.com/{purpose}",
        "https://app.example.com/#token={token}",
        "https://app.example.com/{purpose}?t={token}#token={token}",
        "http://app.example.com/{purpose}#token={token}",
        "/{purpose}#token={token}",
        "https://app.example.com/{purpose}/{user}#token={token}",
        "https://app.example.com/{purpose}#token={token}&x={token}",
    ],
)
def test_a_link_has_its_token_in_the_fragment_of_an_https_address(env: Set, value: str) -> None:
    env(AUTHAPP_LINK_URL=value)
    assert the_problem().startswith("AUTHAPP_LINK_URL must")


def test_templates_are_in_a_folder_that_exists(env: Set, tmp_path: Path) -> None:
    env(AUTHAPP_MAIL_TEMPLATES=str(tmp_path))
    assert load_settings().mail_templates == tmp_path
    env(AUTHAPP_MAIL_TEMPLATES=str(tmp_path / "none"))
    assert the_problem() == "AUTHAPP_MAIL_TEMPLATES must name a folder that exists."


@pytest.mark.parametrize("value", ["on", "http://range.example.com/", "https://r.example/?x", "file://host/list"])
def test_what_is_no_list_of_breached_passwords_is_refused(env: Set, value: str) -> None:
    env(AUTHAPP_BREACHED_PASSWORDS=value)
    assert the_problem().startswith("AUTHAPP_BREACHED_PASSWORDS must be off")


def test_the_limit_per_address_of_mail_can_be_changed(env: Set) -> None:
    env(AUTHAPP_MAIL_RATE_LIMIT="2/minute")
    assert load_settings().mail_rate_limit == RateLimit(2, 60)


def test_development_keeps_mails_in_its_instance_folder(env: Set, tmp_path: Path) -> None:
    env(AUTHAPP_ENV="development", AUTHAPP_MAIL_URL=None, AUTHAPP_MAIL_FROM=None)
    settings = load_settings()

    assert settings.mail_url == MailServer("file", folder=tmp_path / "instance" / "mail")
    assert settings.mail_from is not None


def test_without_a_server_there_is_no_mail() -> None:
    assert Settings(database_url="", jwt_keys=KEYS).mail_url is None
