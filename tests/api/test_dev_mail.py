"""``/dev/mail``: the mails of a development server, for this machine alone."""

import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from authapp import create_app
from authapp.api.dev_mail import MAX_BYTES, NEWEST
from authapp.config import MailServer
from settings import settings

LOCAL = {"Host": "127.0.0.1:8000"}


def client_of(folder: Path, **changes: Any) -> FlaskClient:
    given = {"env": "development", "mail_url": MailServer("file", folder=folder), **changes}
    client = create_app(settings(database_url="postgresql+psycopg2:///nowhere", **given)).test_client()
    client.environ_base["HTTP_HOST"] = LOCAL["Host"]
    return client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mail"


def write(folder: Path, name: str, age: int = 0, subject: str = "Hello", text: str = "Hello ada") -> Path:
    """Write a mail that is ``age`` seconds old."""
    mail = EmailMessage()
    mail["Subject"], mail["To"] = subject, "Ada <ada@example.com>"
    mail.set_content(text)
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(mail.as_bytes())
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


@pytest.mark.parametrize(
    "changes", [{"env": "production"}, {"mail_url": MailServer("console")}, {"mail_url": None}], ids=str
)
def test_it_is_not_there_in_production_or_where_mails_are_no_files(changes: dict[str, Any], folder: Path) -> None:
    write(folder, "a.eml")
    client = client_of(folder, **changes)

    assert client.get("/dev/mail").status_code == 404
    assert client.get("/dev/mail/a.eml").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", ""])
def test_a_page_whose_name_was_led_to_this_machine_cannot_read_it(host: str, folder: Path) -> None:
    write(folder, "a.eml")
    client = client_of(folder)

    assert client.get("/dev/mail", headers={"Host": host}).status_code in {400, 404}
    assert client.get("/dev/mail/a.eml", headers={"Host": host}).status_code in {400, 404}


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]", "[::1]:8000"])
def test_this_machine_has_several_names(host: str, folder: Path) -> None:
    assert client_of(folder).get("/dev/mail", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_several_addresses(address: str, folder: Path) -> None:
    assert client_of(folder).get("/dev/mail", environ_base={"REMOTE_ADDR": address}).status_code == 200


def test_another_machine_cannot_read_it_under_any_name(folder: Path) -> None:
    client = client_of(folder)

    assert client.get("/dev/mail", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 404


def test_the_newest_mail_is_shown_first(folder: Path) -> None:
    write(folder, "a.eml", subject="Newest", text="The newest text")
    write(folder, "b.eml", age=60, subject="Older")
    write(folder, "c.txt", subject="No mail")
    text = client_of(folder).get("/dev/mail").text

    assert "The newest text" in text
    assert text.index("<strong>Newest</strong>") < text.index("<strong>Older</strong>")
    assert "No mail" not in text
    assert "Ada &lt;ada@example.com&gt;" in text


def test_a_link_with_a_token_can_be_clicked(folder: Path) -> None:
    link = "http://127.0.0.1:8000/account/reset-password#token=a-_Z9"
    write(folder, "a.eml", text=f"Open this:\n\n{link}\n\nBye.")

    assert f'<a href="{link}" rel="noopener noreferrer" target="_blank">{link}</a>' in (
        client_of(folder).get("/dev/mail").text
    )


def test_only_the_newest_are_listed_and_only_the_beginning_of_one_is_read(folder: Path) -> None:
    for number in range(NEWEST + 5):
        write(folder, f"{number}.eml", age=number)
    write(folder, "long.eml", age=-1, text="x" * 70 + "\n" + "y\n" * MAX_BYTES + "the end")
    response = client_of(folder).get("/dev/mail")

    assert response.text.count("<li>") == NEWEST
    assert len(response.data) < 2 * MAX_BYTES
    assert "the end" not in response.text
    assert client_of(folder).get(f"/dev/mail/{NEWEST}.eml").status_code == 404


@pytest.mark.parametrize(
    "name", ["../secret.eml", "..%2Fsecret.eml", "%2e%2e%2fsecret.eml", "linked.eml", "folder.eml", ".eml", "%00.eml"]
)
def test_nothing_outside_the_folder_is_read(name: str, folder: Path) -> None:
    write(folder, "a.eml")
    secret = write(folder.parent, "secret.eml", text="the secret")
    (folder / "linked.eml").symlink_to(secret)
    (folder / "folder.eml").mkdir()
    client = client_of(folder)

    assert client.get(f"/dev/mail/{name}").status_code == 404
    assert "the secret" not in client.get("/dev/mail").text


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff" * 100, b"Subject: =?x?q?=ff?=\nContent-Type: text/html; charset=no\n\n\xff"]
)
def test_a_file_that_is_no_mail_breaks_nothing(content: bytes, folder: Path) -> None:
    write(folder, "a.eml", age=60)
    (folder / "broken.eml").write_bytes(content)
    client = client_of(folder)

    assert client.get("/dev/mail/broken.eml").status_code == 200
    assert "Hello ada" in client.get("/dev/mail/a.eml").text


def test_the_html_of_a_mail_is_in_a_frame_without_scripts(folder: Path) -> None:
    mail = EmailMessage()
    mail.set_content('"><script>alert(1)</script>', subtype="html")
    folder.mkdir()
    (folder / "a.eml").write_bytes(mail.as_bytes())
    response = client_of(folder).get("/dev/mail")

    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in response.text
    assert "<script" not in response.text
    assert "&#34;&gt;&lt;script&gt;" in response.text
    assert "script-src 'none'" in response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_before_the_first_mail_the_page_waits_for_it(folder: Path) -> None:
    text = client_of(folder).get("/dev/mail").text

    assert "No mail yet" in text
    assert 'http-equiv="refresh"' in text
