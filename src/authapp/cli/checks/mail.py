"""Checks of mail: the server, the address that mails come from, the templates and the queue."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.failures import printable
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.mail.messages import TEST_TEMPLATE
from authapp.domain.mail.queue import read_queue
from authapp.domain.mail.templates import BadTemplate
from authapp.domain.mail.transports import ServerUnavailable, mail_transports
from authapp.domain.services import Services

LATE_SECONDS = 600
"""A mail that waits for longer was refused, or nobody sends."""


def server(services: Services) -> CheckResult:
    """Check that the mail server lets authapp in: TLS, certificate and login."""
    delivery, address = services.mail.delivery, services.settings.mail_url
    if delivery is None or address is None:
        return CheckResult(CheckLevel.OK, "mail", "AUTHAPP_MAIL_URL is not set: nothing that needs mail exists.")
    try:
        delivery.check_server()
    except ServerUnavailable as error:
        return CheckResult(
            CheckLevel.FAIL, "mail", printable(str(error)), "Check AUTHAPP_MAIL_URL, and that the server runs."
        )
    if mail_transports[address.kind].is_local:
        level = CheckLevel.WARN if services.settings.env == "production" else CheckLevel.OK
        advice = "Set AUTHAPP_MAIL_URL to a mail server." if level is CheckLevel.WARN else ""
        return CheckResult(level, "mail", "Mails are written on this machine, and reach nobody.", advice)
    if address.tls == "off" and not _is_local(address.host):
        advice = "Remove ?starttls=off from AUTHAPP_MAIL_URL."
        return CheckResult(CheckLevel.WARN, "mail", "Mails and the password travel without TLS.", advice)
    return CheckResult(CheckLevel.OK, "mail", "The server lets authapp in.")


def from_address(services: Services) -> list[CheckResult]:
    """Check that the domain of the address that mails come from is that of the links."""
    delivery = services.mail.delivery
    if delivery is None:
        return []
    domain = delivery.messages.from_address.domain.lower()
    host = (urlsplit(services.settings.link_url or services.settings.issuer).hostname or "").lower()
    if _are_related(domain, host):
        return [CheckResult(CheckLevel.OK, "mail sender", f"{domain} and the links to {host} belong together.")]
    sentence = f"The sender is of {domain}, and the links lead to {host}: that is what phishing looks like."
    advice = "Use a sender of the domain to which the links lead."
    return [CheckResult(CheckLevel.WARN, "mail sender", sentence, advice)]


def templates(services: Services) -> list[CheckResult]:
    """Check that every kind of mail has a template, that each can be rendered, and that each of yours is used."""
    if services.mail.delivery is None:
        return []
    problems, messages = [], services.mail.delivery.messages
    for kind in (*mail_kinds, TEST_TEMPLATE):
        try:
            messages.try_template(kind)
        except BadTemplate as error:
            problems.append(CheckResult(CheckLevel.FAIL, "mail templates", str(error), "docs/email.md describes them."))
    advice = "Its name must be that of a kind, with a language or without, and HTML needs the .txt beside it."
    problems += [
        CheckResult(CheckLevel.WARN, "mail templates", f"No mail uses {name}.", advice)
        for name in messages.unused_templates()
    ]
    return problems or [CheckResult(CheckLevel.OK, "mail templates", f"{len(mail_kinds)} kinds of mail can be made.")]


def queue(services: Services) -> list[CheckResult]:
    """Check that mails do not wait, and that none was given up."""
    state = read_queue()
    sentence = f"{state.queued} queued, the oldest for {state.oldest_seconds} s; {state.given_up} given up in 24 hours."
    if services.mail.delivery is None and not state.queued:
        return []
    if state.oldest_seconds > LATE_SECONDS:
        advice = "Set AUTHAPP_MAIL_URL, or nobody sends them."
        if services.mail.delivery is not None:
            advice = "Run `flask mail queue`. Does AUTHAPP_MAIL_SENDER=workers or `flask mail deliver --watch` run?"
        return [CheckResult(CheckLevel.WARN, "mail queue", sentence, advice)]
    if state.given_up:
        advice = "Run `flask audit list --type mail.failed`."
        return [CheckResult(CheckLevel.WARN, "mail queue", sentence, advice)]
    return [CheckResult(CheckLevel.OK, "mail queue", sentence)]


def _are_related(one: str, other: str) -> bool:
    """Tell whether one domain is the other or within it, or both are next to each other, as mail. and app. are.

    Where organisations register below two labels, as in co.uk, two of them count as next to each other.
    """
    parent = one.partition(".")[2]
    are_next = "." in parent and parent == other.partition(".")[2]
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}") or are_next


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
