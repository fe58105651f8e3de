"""The transports for people who develop: a folder, and standard output."""

from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.local_transports import MAX_FILES, ConsoleTransport, FolderTransport
from authapp.domain.mail.transports import ServerUnavailable
from authapp.domain.services import Services
from authapp.security import identifiers
from conftest import reconfigured
from factories import a_user
from mail_deliveries import add, deliver


def test_a_folder_gets_a_file_for_each_mail_that_others_cannot_read(
    app: Flask, delivery: MailDelivery, tmp_path: Path
) -> None:
    a_user(app, "ada")
    folder = tmp_path / "some" / "mail"
    delivery.transports = lambda: FolderTransport(folder)
    mail_id = add()
    assert deliver(delivery) == {"sent": 1}
    assert [path.name for path in folder.iterdir()] == [f"{mail_id}.eml"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{mail_id}.eml").stat().st_mode & 0o077 == 0
    assert b"/account/reset-password#token=" in (folder / f"{mail_id}.eml").read_bytes(), "readable as it is"


def test_a_folder_keeps_the_newest(app: Flask, delivery: MailDelivery, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path)
    others = tmp_path / "0000.eml"
    others.write_text("from another program")
    ids = [str(identifiers.time_ordered()) for _ in range(MAX_FILES + 5)]
    for mail_id in ids:
        message = EmailMessage()
        message["Message-ID"] = f"<{mail_id}@example.com>"
        transport.send(message, "ada@example.com")
    assert {path.stem for path in tmp_path.glob("*.eml")} == {others.stem, *ids[5:]}


def test_a_folder_that_cannot_be_written_is_the_servers_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerUnavailable, match="cannot be created"):
        FolderTransport(tmp_path / "file" / "mail").open()


def test_the_console_shows_the_text(app: Flask, delivery: MailDelivery, capsys: pytest.CaptureFixture[str]) -> None:
    a_user(app, "ada")
    delivery.transports = ConsoleTransport
    add()
    assert deliver(delivery) == {"sent": 1}
    assert "/account/reset-password#token=" in capsys.readouterr().out


def test_an_application_without_a_mail_server_has_no_delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, mail_url=None)
    assert Services.of(app).mail.delivery is None
