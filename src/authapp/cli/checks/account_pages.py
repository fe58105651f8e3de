"""The check of the pages to which the links in mails lead: that each template of yours is one of them."""

from importlib.resources import files

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.services import Services
from authapp.domain.token_purposes import token_purposes


def templates(services: Services) -> list[CheckResult]:
    """Check that each file in ``account`` of the operator's folder is used: a misspelt one replaces nothing.

    It is used if it has the name of a shipped one or of the page of a registered purpose, or if another one names it.
    """
    folder = services.settings.mail_templates
    if folder is None:
        return []
    theirs = [path for path in sorted(folder.glob("account/*")) if path.is_file() and not path.name.startswith(".")]
    texts = {path.name: path.read_text(errors="replace") for path in theirs}
    shipped = {file.name for file in (files("authapp") / "api" / "templates" / "account").iterdir()}
    known = shipped | {f"{purpose.replace('_', '-')}.html" for purpose in token_purposes}
    unused = [
        name
        for name in texts
        if name not in known and not any(name in texts[other] for other in texts if other != name)
    ]
    advice = "Its name must be that of a page, such as reset-password.html: docs/account-pages.md lists them."
    return [CheckResult(CheckLevel.WARN, "account pages", f"No page uses account/{name}.", advice) for name in unused]
