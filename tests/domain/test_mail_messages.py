"""The messages: what they say to whom, and what nobody can put into them."""

import ast
import re
from collections.abc import Callable
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest

from authapp import clock
from authapp.config.mail import mail_from
from authapp.domain import mail as mail_wing
from authapp.domain.mail.kinds import Recipient, mail_kinds
from authapp.domain.mail.messages import MailLinks
from authapp.domain.mail.templates import BadTemplate
from authapp.domain.mail.transports import ASCII_POLICY
from authapp.domain.token_purposes import TokenPurpose
from rendered_mails import ISSUER, TOKEN, a_mail, a_recipient, messages, render, texts

EMAIL_MD = Path(__file__).parents[2] / "docs" / "email.md"


EVIL = "login.evil.com"


Render = Callable[..., EmailMessage]


class Page(HTMLParser):
    """What a page refers to, and which elements it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs


def test_the_headers_say_that_a_machine_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = a_mail()
    message = render(mail)
    assert message["From"] == "Accounts <no-reply@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == f"<{mail.id}@example.com>"
    assert message["Date"].datetime.utcoffset() == timedelta()
    assert abs(message["Date"].datetime - clock.now()) < timedelta(minutes=1)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message.get_content_type() == "multipart/alternative"


def test_a_mail_that_is_made_again_has_the_same_message_id() -> None:
    mail = a_mail()
    assert render(mail)["Message-ID"] == render(mail)["Message-ID"] != render(a_mail())["Message-ID"]


@pytest.mark.parametrize("kind", sorted(mail_kinds))
def test_every_kind_says_the_same_as_text_and_as_html(kind: str) -> None:
    message = render(a_mail(kind))
    plain, html = texts(message)
    page = Page(html)
    assert "auth.example.com" in message["Subject"]
    assert message["Subject"] in html
    if purpose := mail_kinds[kind].purpose:
        link = f"{ISSUER}/account/{purpose.replace('_', '-')}#token={TOKEN}"
        assert f"\n{link}\n" in plain.replace("\r", "")
        assert [value for name, value in page.attributes if name == "href"] == [link, link]
    else:
        assert TOKEN not in plain + html
        assert "href" not in html
    assert {"{{", "{%", "None", "Undefined"}.isdisjoint((plain + html).split())
    assert ("lang", "en") in page.attributes
    assert {"img", "script", "link", "form", "iframe"}.isdisjoint(page.elements), "nothing is fetched, nothing tracks"
    assert not [name for name, _ in page.attributes if name in {"src", "background", "srcset"}]
    assert "url(" not in html
    assert "color-scheme" in html
    words = set(re.findall(r"[a-z]{5,}", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)))
    assert len(words & set(re.findall(r"[a-z]{5,}", plain))) > 0.7 * len(words)


@pytest.mark.parametrize("kind", sorted(mail_kinds))
def test_every_text_has_the_paragraphs_of_its_html(kind: str) -> None:
    """A block at the end of a line takes the line break with it, and so joins two paragraphs."""
    for details in mail_kinds[kind].examples:
        mail = a_mail(kind)
        mail.details = dict(details)
        plain, html = texts(render(mail))
        paragraphs = re.split(r"\n{2,}", plain.replace("\r", "").strip())
        # A button is followed by its address, which the text has alone.
        assert len(paragraphs) == Page(html).elements.count("p") - html.count("Or copy this address"), plain
        assert not re.search(r"[ \t]\r?$", plain, re.MULTILINE)


def test_every_kind_is_documented_with_its_details() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", EMAIL_MD.read_text(), re.MULTILINE)
    documented = {kind: set(re.findall(r"`(\w+)`", details.partition(":")[0])) for kind, details in rows}
    assert documented == {name: set(kind.detail_names) for name, kind in mail_kinds.items()}


def test_the_mails_that_the_contract_lists_have_templates() -> None:
    for kind in ("verify_email", "reset_password", "change_email", "email_changed", "login_link"):
        assert mail_kinds[kind].purpose
    plain, _ = texts(render(a_mail("verify_email")))
    assert "I did not register" in plain
    plain, _ = texts(render(a_mail("email_changed")))
    assert "for 3 days" in plain
    plain, _ = texts(render(a_mail("login_link"), code="01234567"))
    assert "01234567" in plain
    assert "10 minutes" in plain
    plain, _ = texts(render(a_mail("account_exists")))
    assert ISSUER in plain
    plain, _ = texts(render(a_mail("new_login")))
    assert "Firefox on Linux" in plain
    assert "192.0.2.7" in plain


@pytest.mark.parametrize("kind", sorted(mail_kinds))
@pytest.mark.parametrize("is_verified", [False, True])
def test_only_a_verified_address_is_sent_what_a_client_chose(kind: str, is_verified: bool) -> None:
    message = render(a_mail(kind), a_recipient(username=EVIL, is_verified=is_verified))
    if not is_verified:
        assert EVIL not in message.as_string() + "".join(texts(message))


@pytest.mark.parametrize("kind", ["change_email", "email_changed"])
def test_another_address_of_a_verified_account_is_not_verified(kind: str) -> None:
    user = a_recipient(username=EVIL).user
    message = render(a_mail(kind), Recipient(user, "victim@example.org"))
    assert EVIL not in message.as_string() + "".join(texts(message))


def test_the_name_of_a_verified_account_is_escaped() -> None:
    _, html = texts(render(recipient=a_recipient(username="<b>ada")))
    assert "&lt;b&gt;ada" in html


@pytest.mark.parametrize("evil", ["ada\r\nBcc: eve@example.com", "ada\nX: y", "ada\rX: y", "ada\u2028X: y", "ada\x85X"])
def test_no_value_can_add_a_header(tmp_path: Path, evil: str) -> None:
    (tmp_path / "reset_password.txt").write_text("Subject: Hello {{ username }}\n\nText of {{ username }}")
    made_with = messages(tmp_path)
    try:
        message = render(recipient=a_recipient(username=evil), made_with=made_with)
    except (ValueError, BadTemplate):
        return
    plain = message.get_body(("plain",))
    assert {"Bcc", "X"}.isdisjoint(message.keys())
    assert plain is not None
    assert len(message.keys()) == len(render(made_with=made_with).keys())


@pytest.mark.parametrize("evil", ["a@example.com\r\nBcc: eve@example.com", "Ada\nX: y <a@example.com>"])
def test_no_sender_of_the_settings_can_add_a_header(evil: str) -> None:
    with pytest.raises(ValueError, match="must be a sender"):
        mail_from(evil)


@pytest.mark.parametrize("address", ["ada@example.com\r\nBcc: eve@example.com", "ada\n@example.com"])
def test_no_recipient_can_add_a_header(address: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)invalid|codepoint|label|arguments|CR"):
        render(recipient=a_recipient(address))


def test_names_of_every_script_are_encoded() -> None:
    sender = Address("Büro für Konten 帳戶", addr_spec="no-reply@example.com")
    message = render(a_mail(), made_with=messages(sender=sender))
    assert message["From"].addresses[0].display_name == "Büro für Konten 帳戶"
    built = messages(sender=sender).build_test("ada@example.com").as_bytes(policy=ASCII_POLICY)
    assert built.isascii()
    assert max(map(len, built.splitlines())) < 998


def test_a_domain_is_written_in_a_labels() -> None:
    message = render(recipient=a_recipient("ada@bücher.example"))
    assert message["To"] == "ada@xn--bcher-kva.example"


def test_links_lead_where_the_settings_say() -> None:
    links = MailLinks(ISSUER, "https://app.example.com/x/{purpose}?a=1#token={token}")
    assert links.with_token(TokenPurpose.LOGIN, "a+b") == "https://app.example.com/x/login?a=1#token=a%2Bb"
    assert links.site == "https://app.example.com"
    below = MailLinks("https://example.com/accounts/", None)
    assert (
        below.with_token(TokenPurpose.VERIFY_EMAIL, "t") == "https://example.com/accounts/account/verify-email#token=t"
    )
    assert below.site == "https://example.com/accounts/account/reset-password", "which a browser can show"
    assert MailLinks("https://example.com/{x}", None).with_token("a", "t").startswith("https://example.com/{x}/")


def test_nothing_of_a_request_can_reach_a_link() -> None:
    """A link made from a header leads to whoever sent the request."""
    forbidden = re.compile(r"url_for|host_url|url_root|base_url|HTTP_|(?i:forwarded)|\bHost\b|\bOrigin\b")
    for path in sorted(Path(mail_wing.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text())
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(each.name for each in node.names)]
        }
        assert not [name for name in imported if name.partition(".")[0] in {"flask", "werkzeug"}], path.name
        names = {
            str(value)
            for node in ast.walk(tree)
            for value in [getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "value", None)]
            if isinstance(value, str) and len(value) < 40
        }
        assert [name for name in names if forbidden.search(name)] == [], path.name
