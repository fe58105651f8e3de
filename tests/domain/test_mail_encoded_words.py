"""Encoded words (RFC 2047): ``email`` decodes those in a header when it writes it, and they may stand for line ends."""

from base64 import b64encode
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from authapp.config.mail import mail_from
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.messages import envelope_address
from authapp.domain.mail.transports import ASCII_POLICY, UTF8_POLICY
from authapp.models.user import checked_email
from factories import Api, a_user, problem
from mail_deliveries import FakeTransport, add, deliver
from rendered_mails import a_mail, a_recipient, messages, render

HEADERS = {
    "From": "Accounts <no-reply@example.com>",
    "To": "ada@example.com",
    "Auto-Submitted": "auto-generated",
    "X-Auto-Response-Suppress": "All",
}


def in_q(text: str) -> str:
    return "=?utf-8?q?" + "".join(each if each.isalpha() else f"={ord(each):02x}" for each in text) + "?="


def in_b(text: str) -> str:
    return f"=?utf-8?b?{b64encode(text.encode()).decode()}?="


TEXTS = ["\r\nSubject:Pay at evil.example\r\n\r\nHi", "\r\nBcc: eve@example.com", "a, eve@example.com,"]
WORDS = [encoded(text) for text in TEXTS for encoded in (in_q, in_b)]


def written(message: EmailMessage, *, utf8: bool) -> dict[str, str]:
    """Return the headers as they leave, unfolded and not decoded."""
    head, _, _ = message.as_bytes(policy=UTF8_POLICY if utf8 else ASCII_POLICY).partition(b"\r\n\r\n")
    lines = head.decode().replace("\r\n ", " ").split("\r\n")
    assert len({line.partition(":")[0].lower() for line in lines}) == len(lines), "each once"
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("local_part", ["{}", "ada.{}", "ada{}", "{}.ada"])
def test_no_address_with_an_encoded_word_is_valid(word: str, local_part: str) -> None:
    address = f"{local_part.format(word)}@evil.example"
    with pytest.raises(ValueError, match=r"^Not a valid email address\.$"):
        checked_email(address)
    with pytest.raises(ValueError, match="encoded word"):
        envelope_address(address)


def test_a_guest_cannot_register_one(api: Api) -> None:
    account = {"username": "eve", "email": f"{WORDS[0]}@evil.example", "password": "correct horse battery staple"}
    body = problem(api.post("/auth/register", account), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == ["#/email"]


def test_one_that_is_stored_is_sent_nothing_and_holds_up_no_mail(
    app: Flask, delivery: MailDelivery, transport: FakeTransport
) -> None:
    a_user(app, "ada")
    eve = a_user(app, "eve")
    add("password_changed", user_id=eve.id, address=f"{WORDS[0]}@evil.example")
    add()
    assert deliver(delivery) == {"postponed": 1, "sent": 1}
    assert transport.recipients == ["ada@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "!#$%&'*+-/=^_`{|}~?@example.com",
        "a=b?c=@example.com",
        "?=a?=@example.com",
        "a.b" * 20 + "@" + ".".join(["a" * 20] * 7) + ".example",
        "x" * 64 + "@" + ".".join(["d" * 59] * 3) + ".example",
        "\u00fcda@example.com",
    ],
)
def test_every_valid_address_is_written_as_it_is(address: str) -> None:
    built = messages().build_test(envelope_address(checked_email(address)))
    headers = written(built, utf8=not address.isascii())
    assert headers["To"] == address
    assert {name: headers[name] for name in HEADERS} == HEADERS | {"To": address}


@pytest.mark.parametrize("word", WORDS)
def test_no_subject_decodes_what_a_template_puts_into_it(tmp_path: Path, word: str) -> None:
    (tmp_path / "reset_password.txt").write_text("Subject: Of {{ username }}\n\nText")
    made_with = messages(tmp_path)
    mail, recipient = a_mail(), a_recipient(username=word)
    message = made_with.build(
        mail.kind, mail.id, "ada@example.com", None, made_with.variables(mail.kind, mail, recipient, None)
    )
    for utf8 in (False, True):
        headers = written(message, utf8=utf8)
        assert {name: headers[name] for name in HEADERS} == HEADERS
    read = render(mail, recipient, made_with)["Subject"]
    assert read.strip() == f"Of {word}".replace("=?", "= ?"), "nor does the program that reads it"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("sender", ["{} <no-reply@example.com>", '"{}" <no-reply@example.com>', "{}@example.com"])
def test_no_sender_of_the_settings_has_one(word: str, sender: str) -> None:
    with pytest.raises(ValueError, match="must be a sender"):
        mail_from(sender.format(word))
