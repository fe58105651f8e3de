"""``flask mail`` and what the doctor says of mail."""

from email.headerregistry import Address
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from authapp.cli.checks import CheckLevel, CheckResult, account_pages, doctor_checks, without_database
from authapp.cli.checks import mail as checks
from authapp.cli.mail import mail
from authapp.config import MailServer
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.mail import outbox
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.mail.local_transports import ConsoleTransport
from authapp.domain.mail.transports import ServerUnavailable
from authapp.domain.services import Services
from authapp.models import OutgoingMail
from cli.invoking import data, invoke, refused, succeeded
from clocks import Time
from conftest import reconfigured
from factories import GUEST, a_user
from mail_deliveries import FakeTransport, raising

SENDER = Address("", addr_spec="no-reply@example.com")


def with_mail(app: Flask, monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> Services:
    values = {"mail_url": MailServer("file", folder=folder), "mail_from": SENDER, **changes}
    reconfigured(app, monkeypatch, **values)
    return Services.of(app)


def add(app: Flask, kind: str = "reset_password", address: str = "ada@example.com") -> None:
    with app.app_context(), transaction():
        outbox.add(kind, user_id=None, address=address, context=GUEST)


def add_unknown(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store a mail of the kind ``odd``, which the process that sends it does not know."""
    with monkeypatch.context() as where_it_is_known:
        where_it_is_known.setitem(mail_kinds._values, "odd", mail_kinds["reset_password"])
        add(app, "odd")


def result(results: list[CheckResult] | CheckResult) -> tuple[CheckLevel, str]:
    (only,) = results if isinstance(results, list) else [results]
    return only.level, only.sentence


def test_deliver_says_what_became_of_the_mails(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_mail(app, monkeypatch, tmp_path)
    a_user(app, "ada")
    add(app, "reset_password", "ada@example.com")
    add(app, "reset_password", "b@example.com")
    add_unknown(app, monkeypatch)
    said = succeeded(invoke(app, mail, "deliver"))
    assert said == "1 sent, 1 postponed, 0 given_up, 1 dropped, 0 reassigned.\n"
    assert len(list(tmp_path.glob("*.eml"))) == 1


def test_the_queue_shows_no_address(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, time: Time) -> None:
    with_mail(app, monkeypatch, tmp_path)
    add_unknown(app, monkeypatch)
    time.passes(minutes=5)
    invoke(app, mail, "deliver")
    text = succeeded(invoke(app, mail, "queue"))
    assert text.startswith("1 queued, the oldest for 300 s. 0 given up in the last day.\n")
    assert "There is no kind of mail 'odd'." in text
    shown = data(invoke(app, mail, "queue", "--json"))
    assert (shown["queued"], shown["oldest_seconds"], shown["given_up_last_day"]) == (1, 300, 0)
    assert shown["mails"][0]["kind"] == "odd"
    assert "example.com" not in text + str(shown)
    # Where somebody else sends, or nobody does any more.
    reconfigured(app, monkeypatch, mail_url=None)
    assert succeeded(invoke(app, mail, "queue")) == text


def test_a_test_mail_goes_out_at_once(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_mail(app, monkeypatch, tmp_path)
    assert succeeded(invoke(app, mail, "test", "ada@example.com")).startswith("The server accepted the mail <")
    (written,) = tmp_path.glob("*.eml")
    assert "A test mail of auth.example.com" in written.read_text()
    refused(invoke(app, mail, "test", "nonsense"), "Not a valid email address")


def test_a_test_mail_has_every_variable_of_the_others(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "footer.txt").write_text("{% if username or device %}For {{ username }}{% endif %}")
    with_mail(app, monkeypatch, tmp_path, mail_templates=tmp_path)
    assert succeeded(invoke(app, mail, "test", "ada@example.com")).startswith("The server accepted the mail <")


def test_the_commands_need_a_mail_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, mail_url=None)
    for arguments in (["deliver"], ["test", "ada@example.com"]):
        refused(invoke(app, mail, *arguments), "AUTHAPP_MAIL_URL is not set")


def test_what_a_transport_of_somebody_else_quotes_is_shown_as_printable(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A terminal obeys control characters, and cannot write a lone surrogate."""
    services = with_mail(app, monkeypatch, tmp_path)
    transport = FakeTransport()
    transport.on_open = raising(ServerUnavailable("away\x1b[31m\udcff"))
    delivery = services.mail.delivery
    assert delivery is not None
    monkeypatch.setattr(delivery, "transports", lambda: transport)
    assert result(checks.server(services)) == (CheckLevel.FAIL, "away?[31m?")
    refused(invoke(app, mail, "test", "ada@example.com"), "away?[31m?")


def test_the_doctor_runs_every_check_of_mail() -> None:
    defined = {check for _, check in getmembers(checks, isfunction) if check.__module__ == checks.__name__}
    public = {check for check in defined if not check.__name__.startswith("_")}
    assert public <= {*without_database, *doctor_checks}
    assert {checks.server, checks.from_address, checks.templates, checks.queue} <= public


def test_the_doctor_says_nothing_of_mail_that_is_off(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, mail_url=None)
    with app.app_context():
        services = Services.of(app)
        assert result(checks.server(services))[0] is CheckLevel.OK
        assert [checks.from_address(services), checks.templates(services), checks.queue(services)] == [[], [], []]


def test_the_doctor_warns_of_files_in_production(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    services = with_mail(app, monkeypatch, tmp_path)
    assert result(checks.server(services)) == (
        CheckLevel.WARN,
        "Mails are written on this machine, and reach nobody.",
    )
    (tmp_path / "file").write_text("")
    services = with_mail(app, monkeypatch, tmp_path / "file")
    assert result(checks.server(services))[0] is CheckLevel.FAIL


@pytest.mark.parametrize(
    ("sender", "link_url", "level"),
    [
        ("a@example.com", None, CheckLevel.OK),
        ("a@mail.example.com", None, CheckLevel.OK),
        ("a@auth.example.com", None, CheckLevel.OK),
        ("a@example.org", None, CheckLevel.WARN),
        ("a@notexample.com", None, CheckLevel.WARN),
        ("a@example.org", "https://app.example.org/{purpose}#token={token}", CheckLevel.OK),
    ],
)
def test_the_doctor_compares_the_sender_with_the_links(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sender: str, link_url: str | None, level: CheckLevel
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_from=Address("", addr_spec=sender), link_url=link_url)
    assert result(checks.from_address(services))[0] is level


def test_the_doctor_finds_a_template_that_is_broken(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_templates=tmp_path)
    assert result(checks.templates(services))[0] is CheckLevel.OK
    (tmp_path / "login_link.txt").write_text("Subject: x\n\n{{ lnik }}")
    level, sentence = result(checks.templates(services))
    assert level is CheckLevel.FAIL
    assert "login_link.txt: UndefinedError: 'lnik' is undefined" in sentence


def test_the_doctor_finds_a_translation_that_is_broken(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_templates=tmp_path)
    for name in ("reset_password.txt", "reset_password.de.txt"):
        (tmp_path / name).write_text("Subject: x\n\n{{ link }}")
    assert result(checks.templates(services))[0] is CheckLevel.OK
    (tmp_path / "reset_password.de.html").write_text("{{ nothing }}")
    assert result(checks.templates(services)) == (
        CheckLevel.FAIL,
        "yours/reset_password.de.html: UndefinedError: 'nothing' is undefined",
    )


@pytest.mark.parametrize(
    ("name", "is_used"),
    [
        ("login_link.de.txt", True),
        ("login_link.pt-BR.txt", True),
        ("login_link.pt-br.txt", False),
        ("login_link.html", False),
        ("login_link.de.html", False),
        ("login-link.txt", False),
        ("login_link.txt.bak", False),
        ("test_mail.txt", True),
        ("footer.txt", True),
        ("greeting.txt", True),
    ],
)
def test_the_doctor_warns_of_a_template_that_no_mail_uses(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, is_used: bool
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_templates=tmp_path)
    (tmp_path / "verify_email.txt").write_text("Subject: x\n\n{% if false %}{% include 'greeting.txt' %}{% endif %}")
    (tmp_path / name).write_text("Subject: x\n\nHello")
    (tmp_path / ".git").mkdir()
    (tmp_path / "account").mkdir()  # the pages, which are tried at the start
    level, sentence = result(checks.templates(services))
    assert (level, name in sentence) == ((CheckLevel.OK, False) if is_used else (CheckLevel.WARN, True))


@pytest.mark.parametrize(
    ("name", "is_used"),
    [
        ("reset-password.html", True),
        ("base.html", True),
        ("buttons.html", True),
        ("reset-pasword.html", False),
        ("reset_password.html", False),
        ("reset-password.htm", False),
        (".reset-password.html.swp", True),
    ],
)
def test_the_doctor_warns_of_a_template_that_no_page_uses(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, is_used: bool
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_templates=tmp_path)
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "login.html").write_text("{% include 'account/buttons.html' %}")
    (tmp_path / "account" / name).write_text("Hello")
    sentences = [result(each) for each in account_pages.templates(services)]
    assert sentences == ([] if is_used else [(CheckLevel.WARN, f"No page uses account/{name}.")])


def test_the_doctor_warns_of_mails_that_wait_and_of_those_that_were_given_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, time: Time
) -> None:
    services = with_mail(app, monkeypatch, tmp_path)
    with app.app_context():
        assert result(checks.queue(services))[0] is CheckLevel.OK
        add(app)
        time.passes(minutes=11)
        assert result(checks.queue(services)) == (
            CheckLevel.WARN,
            "1 queued, the oldest for 660 s; 0 given up in 24 hours.",
        )
        with transaction():
            db.session.execute(update(OutgoingMail).values(created_at=time.now))
            audit.record("mail.failed", context=OPERATOR)
        assert result(checks.queue(services)) == (
            CheckLevel.WARN,
            "1 queued, the oldest for 0 s; 1 given up in 24 hours.",
        )


@pytest.mark.parametrize(
    ("host", "tls", "level"),
    [
        ("mail.example.com", "off", CheckLevel.WARN),
        ("192.0.2.7", "off", CheckLevel.WARN),
        ("mail.example.com", "starttls", CheckLevel.OK),
        *((host, "off", CheckLevel.OK) for host in ("localhost", "127.0.0.1", "::1")),
    ],
)
def test_the_doctor_warns_of_a_password_without_tls(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, tls: str, level: CheckLevel
) -> None:
    services = with_mail(app, monkeypatch, tmp_path, mail_url=MailServer("smtp", host=host, port=25, tls=tls))
    assert services.mail.delivery is not None
    services.mail.delivery.transports = ConsoleTransport
    assert result(checks.server(services))[0] is level


def test_a_heartbeat_is_for_a_process_that_goes_on(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_mail(app, monkeypatch, tmp_path)
    result = invoke(app, mail, "deliver", "--heartbeat", str(tmp_path / "heartbeat"))
    assert result.exit_code == 2
    assert "--heartbeat needs --watch." in result.stderr
    assert not (tmp_path / "heartbeat").exists()
