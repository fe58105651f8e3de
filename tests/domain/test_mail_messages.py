"""The messages: what they say to whom, in which language, and what nobody can put into them."""

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from authapp import clock
from authapp.config.mail import mail_from
from authapp.domain import mail as mail_wing
from authapp.domain.mail import recipients
from authapp.domain.mail.kinds import MailKind, Recipient, mail_kinds
from authapp.domain.mail.mail_context import device_name
from authapp.domain.mail.messages import VARIABLES, MailLinks, MailMessages, envelope_address
from authapp.domain.mail.one_time_secrets import OneTimeSecrets
from authapp.domain.mail.templates import SHIPPED, BadTemplate, MailTemplates
from authapp.domain.mail.transports import ASCII_POLICY
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import OutgoingMail, User
from authapp.security import identifiers

EMAIL_MD = Path(__file__).parents[2] / "docs" / "email.md"
ISSUER = "https://auth.example.com"
TOKEN = "t0ken-" + "x" * 64
SENDER = Address("Accounts", addr_spec="no-reply@example.com")
EVIL = "login.evil.com"

Render = Callable[..., EmailMessage]


def a_mail(kind: str = "reset_password", **context: Any) -> OutgoingMail:
    values = {"request_id": "r-1", "ip_address": "192.0.2.7", "device": "Firefox on Linux", "locale": None, **context}
    details = dict.fromkeys(mail_kinds[kind].details if kind in mail_kinds else (), "1")
    mail_id = identifiers.time_ordered()
    return OutgoingMail(id=mail_id, kind=kind, context=values, details=details, created_at=clock.now())


def a_recipient(address: str = "ada@example.com", *, is_verified: bool = True, **changes: Any) -> Recipient:
    values = {"username": "ada", "email": address, **changes}
    user = User(**values, email_verified_at=clock.now() if is_verified else None)
    return Recipient(user, address)


def messages(folder: Path | None = None, link_url: str | None = None, sender: Address = SENDER) -> MailMessages:
    return MailMessages(MailTemplates(folder), MailLinks(ISSUER, link_url), from_address=sender, issuer=ISSUER)


def render(
    mail: OutgoingMail | None = None,
    recipient: Recipient | None = None,
    made_with: MailMessages | None = None,
    code: str | None = None,
) -> EmailMessage:
    """Return the message as a mail program reads it."""
    mail, recipient, made_with = mail or a_mail(), recipient or a_recipient(), made_with or messages()
    purpose = mail_kinds[mail.kind].purpose
    secrets = OneTimeSecrets(purpose, TOKEN, code) if purpose else None
    variables = made_with.variables(mail, recipient, secrets)
    address = envelope_address(recipient.address)
    built = made_with.build(mail.kind, mail.id, address, mail.context["locale"], variables)
    read = message_from_bytes(built.as_bytes(policy=ASCII_POLICY), policy=policy.SMTP)
    assert isinstance(read, EmailMessage)
    return read


def texts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


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


def test_every_kind_is_documented_with_its_details() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", EMAIL_MD.read_text(), re.MULTILINE)
    documented = {kind: set(re.findall(r"`(\w+)`", details.partition(":")[0])) for kind, details in rows}
    assert documented == {name: set(kind.details) for name, kind in mail_kinds.items()}


def test_the_mails_that_the_contract_lists_have_templates() -> None:
    for kind in ("verify_email", "reset_password", "change_email", "email_changed", "login_link"):
        assert mail_kinds[kind].purpose
    plain, _ = texts(render(a_mail("verify_email")))
    assert "I did not register" in plain
    plain, _ = texts(render(a_mail("email_changed")))
    assert "72 hours" in plain
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
    assert below.site == "https://example.com/accounts"
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


# --- templates and languages ------------------------------------------------------------------------------------------


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


def subject(folder: Path, locale: str | None) -> str:
    return str(render(a_mail(locale=locale), made_with=messages(folder))["Subject"])


def test_the_language_of_the_request_is_used_if_there_is_a_template(tmp_path: Path) -> None:
    for suffix in ("", ".pt", ".pt-BR", ".zh-Hant"):
        put(tmp_path, f"reset_password{suffix}.txt", f"Subject: in{suffix}\n\n{{{{ link }}}}")
    assert subject(tmp_path, "pt-BR") == "in.pt-BR"
    assert subject(tmp_path, "PT-br") == "in.pt-BR"
    assert subject(tmp_path, "pt-PT") == "in.pt"
    assert subject(tmp_path, "zh-hant-tw") == "in.zh-Hant"
    for locale in (None, "de", "", "../../pt", "pt/..", "-", "ﬁ"):
        assert subject(tmp_path, locale) == "in"
    message = render(a_mail(locale="pt-BR"), made_with=messages(tmp_path))
    assert message["Content-Language"] == "pt-BR"


def test_text_and_html_come_from_the_same_folder_and_language(tmp_path: Path) -> None:
    put(tmp_path, "reset_password.de.txt", "Subject: Passwort\n\n{{ link }}")
    german = render(a_mail(locale="de"), made_with=messages(tmp_path))
    assert german.get_content_type() == "text/plain"
    english = render(a_mail(locale="en"), made_with=messages(tmp_path))
    assert len(texts(english)) == 2
    put(tmp_path, "password_changed.html", "<p>Yours</p>")
    assert "Yours" not in texts(render(a_mail("password_changed"), made_with=messages(tmp_path)))[1]


def test_a_base_of_yours_is_the_frame_of_the_shipped_mails(tmp_path: Path) -> None:
    put(tmp_path, "base.html", "<h1>Our logo</h1>{% block content %}{% endblock %}")
    plain, html = texts(render(made_with=messages(tmp_path)))
    assert "Our logo" in html
    assert TOKEN in html
    assert TOKEN in plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello\n\nno subject", "must begin with"),
        ("Subject: {{ nothing }}\n\n", "UndefinedError"),
        ("Subject: {{ link\n\n", "TemplateSyntaxError"),
        ("Subject: x\n\n{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("Subject: x\n\n{{ 1 / 0 }}", "ZeroDivisionError"),
        ('Subject: x\n\n{% include "../../etc/passwd" %}', "TemplateNotFound"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    put(tmp_path, "reset_password.txt", text)
    with pytest.raises(BadTemplate, match=words) as error:
        render(made_with=messages(tmp_path))
    assert "reset_password.txt" in str(error.value)


def test_a_kind_without_a_template_is_named() -> None:
    with pytest.raises(BadTemplate, match=r"no template invoice_ready\.txt"):
        messages().try_template("invoice_ready")


def test_a_template_can_use_the_details_that_its_kind_names_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "invoice_ready.txt", "Subject: Invoice {{ details.number }}\n{{ details.total }}")
    put(tmp_path, "invoice_ready.html", "<p>{{ details.number }}</p>")
    made_with = messages(tmp_path)
    kind = MailKind(recipients.owner, details=frozenset({"number"}))
    monkeypatch.setitem(mail_kinds._values, "invoice_ready", kind)
    with pytest.raises(BadTemplate, match="total"):
        made_with.try_template("invoice_ready")
    monkeypatch.setitem(mail_kinds._values, "invoice_ready", replace(kind, details=frozenset({"number", "total"})))
    made_with.try_template("invoice_ready")
    mail = a_mail("invoice_ready")
    mail.details = {"number": "<b>7", "total": 12}
    message = render(mail, made_with=made_with)
    plain, html = texts(message)
    assert message["Subject"] == "Invoice <b>7"
    assert plain.strip() == "12"
    assert "&lt;b&gt;7" in html


def test_templates_use_those_of_the_operator_then_of_their_own_folder_then_the_shipped_ones(tmp_path: Path) -> None:
    operator, *others = folders = [tmp_path / name for name in ("operator", "invoice", "note", "plain")]
    for folder in folders:
        folder.mkdir()
    for folder in others:
        (folder / f"{folder.name}.txt").write_text("Subject: s\n{% include 'footer.txt' %}")
    for folder in others[:2]:
        (folder / "footer.txt").write_text(f"The footer of {folder.name}.")
    variables = dict.fromkeys(VARIABLES, "x") | {"app_name": "x", "issuer": "x", "site": "x"}

    def bodies(*, with_operator: bool) -> list[str]:
        templates = MailTemplates(operator if with_operator else None, *others)
        return [templates.render(folder.name, None, variables).text.strip() for folder in others]

    *included, shipped = bodies(with_operator=True)
    assert included == ["The footer of invoice.", "The footer of note."]
    assert "The footer of" not in shipped
    (operator / "footer.txt").write_text("The footer of the operator.")
    assert bodies(with_operator=True) == ["The footer of the operator."] * 3
    assert bodies(with_operator=False) == [*included, shipped]


def test_the_shipped_templates_use_documented_variables_alone() -> None:
    for kind in mail_kinds:
        messages().try_template(kind)
    page = (SHIPPED.parents[3] / "docs" / "email.md").read_text()
    for name in (*VARIABLES, "app_name", "issuer", "site"):
        assert f"| `{name}` |" in page


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("Call 0900-12345, your account is locked: http://login.evil.com", None),
        (None, None),
    ],
)
def test_a_device_is_named_in_our_words(user_agent: str | None, name: str | None) -> None:
    assert device_name(user_agent) == name


@pytest.mark.parametrize("kind", ["factor_added", "factor_added_notice", "factor_removed"])
@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ("totp", "authenticator app"),
        ("passkey", "passkey"),
        ("provider", "login by another service"),
        ("fax", "Another factor (fax)"),
    ],
)
def test_a_mail_about_a_factor_names_its_kind_and_no_other(kind: str, factor: str, words: str) -> None:
    mail = a_mail(kind)
    mail.details = {"factor": factor}
    message = render(mail)
    assert ("second factor" in message["Subject"]) == (factor != "provider")
    for text in texts(message):
        known = ("authenticator app", "passkey", "login by another service", "Another factor (fax)")
        assert [each for each in known if each in text] == [words]
