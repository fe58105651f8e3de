"""Links lead where the settings say, whatever host a request names: a thief would get the token of a reset."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from authapp import create_app, testing
from authapp.domain.mail import counted_mails
from conftest import dispose
from databases import Databases

ISSUER = "https://auth.example.com"
EVIL = "evil.example"
FORGED = {
    "Host": EVIL,
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Server": EVIL,
    "X-Forwarded-Prefix": f"/{EVIL}",
    "Forwarded": f"host={EVIL};proto=http",
    "Origin": f"https://{EVIL}",
    "Referer": f"https://{EVIL}/",
}


@pytest.fixture
def app(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An application that believes a proxy, and sends each mail at once."""
    monkeypatch.setattr(counted_mails, "MAX_DELAY_MS", 1)
    with databases.migrated() as url:
        chosen = testing.settings(
            url, mail_folder=tmp_path, issuer=ISSUER, login_links="on", trusted_proxies=1, mail_rate_limit=None
        )
        made = create_app(chosen)
        yield made
        dispose(made)


def test_no_mail_names_the_host_of_its_request(app: Flask) -> None:
    user, sent = testing.create_user(app, "ada"), len(testing.send_mails(app))
    bert = {"username": "bert", "email": "bert@example.com", "password": testing.PASSWORD}
    for path in ("password-resets", "login-links", "email-verifications", "register"):
        body = bert if path == "register" else {"email": user.email}
        answer = app.test_client().post(f"/api/v1/auth/{path}", json=body, headers=FORGED)
        assert answer.status_code in {201, 202}, answer.text
        (mail,) = testing.send_mails(app)[sent:]
        sent += 1
        parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
        assert len(parts) == 2
        assert EVIL not in mail.as_string() + "".join(parts)
        for part in parts:
            links = re.findall(r"(\S+)#token=", part)
            assert links
            assert all(f"{ISSUER}/account/" in link for link in links)
