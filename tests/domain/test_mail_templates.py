"""The templates of mails: their languages, their folders, and what they can use."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from authapp.domain.mail import recipients
from authapp.domain.mail.kinds import MailDetails, MailKind, mail_kinds
from authapp.domain.mail.mail_context import device_name
from authapp.domain.mail.messages import VARIABLES
from authapp.domain.mail.templates import SHIPPED, BadTemplate, MailTemplates
from rendered_mails import TOKEN, a_mail, messages, render, texts


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
    kind = MailKind(recipients.owner, examples=[{"number": "7"}])
    monkeypatch.setitem(mail_kinds._values, "invoice_ready", kind)
    with pytest.raises(BadTemplate, match="total"):
        made_with.try_template("invoice_ready")
    monkeypatch.setitem(mail_kinds._values, "invoice_ready", replace(kind, examples=[{"number": "7", "total": 12}]))
    made_with.try_template("invoice_ready")
    mail = a_mail("invoice_ready")
    mail.details = {"number": "<b>7", "total": 12}
    message = render(mail, made_with=made_with)
    plain, html = texts(message)
    assert message["Subject"] == "Invoice <b>7"
    assert plain.strip() == "12"
    assert "&lt;b&gt;7" in html


def test_each_example_of_a_kind_is_explained_and_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(details: MailDetails) -> MailDetails:
        due = date.fromisoformat(str(details["due"]))
        return {"due": f"{due:%d.%m.%Y}", "is_late": due < date(2027, 1, 1)}

    put(tmp_path, "invoice_due.txt", "Subject: Invoice\n{% if details.is_late %}{{ detials.due }}{% endif %}")
    for due in ("2027-01-01", "2026-12-31"):
        kind = MailKind(recipients.owner, examples=[{"due": "2028-01-01"}, {"due": due}], explain=explain)
        monkeypatch.setitem(mail_kinds._values, "invoice_due", kind)
        with pytest.raises(BadTemplate, match="detials") if due < "2027" else nullcontext():
            messages(tmp_path).try_template("invoice_due")


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
        ("fax", "another factor (fax)"),
    ],
)
def test_a_mail_about_a_factor_names_its_kind_and_no_other(kind: str, factor: str, words: str) -> None:
    mail = a_mail(kind)
    mail.details = {"factor": factor}
    message = render(mail)
    assert ("second factor" in message["Subject"]) == (factor != "provider")
    for text in texts(message):
        known = ("authenticator app", "passkey", "login by another service", "another factor (fax)")
        assert [each for each in known if each in text] == [words]
