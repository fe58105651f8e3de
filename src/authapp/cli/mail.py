"""``flask mail``: send the mails that wait, look at them, and try the mail server."""

import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import click
from flask import current_app

from authapp import clock, tracing
from authapp.cli.commands import Commands, json_option, log_like_server, print_json, services
from authapp.context import OPERATOR
from authapp.domain.failures import printable
from authapp.domain.mail.attempts import MailOutcome
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.queue import list_mails, read_queue
from authapp.domain.mail.sender import MAILS_PER_PASS, MailSender
from authapp.domain.mail.templates import BadTemplate
from authapp.domain.mail.transports import RecipientRefused, ServerUnavailable, TemporaryFailure

mail = Commands("mail", help="Send the mails that wait, and try the mail server.")


@mail.command("deliver")
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or SIGINT, and send mails as they come.")
@click.option(
    "--heartbeat",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="With --watch, touch this file every second, and before each mail.",
)
def deliver(watch: bool, heartbeat: Path | None) -> None:
    """Send the mails that are due.

    Any number of these may run, on several nodes at once. If the mail server takes no mail, the exit status is 1, and
    all mails are left as they were; with --watch, the server is tried again.
    """
    delivery = _delivery()
    if heartbeat and not watch:
        raise click.UsageError("--heartbeat needs --watch.")
    if watch:
        log_like_server()
    tracing.start()
    try:
        if watch:
            _watch(delivery, heartbeat)
        else:
            _deliver_due(delivery)
    finally:
        tracing.stop()


def _deliver_due(delivery: MailDelivery) -> None:
    outcomes: Counter[MailOutcome] = Counter()
    try:
        while passed := delivery.deliver(OPERATOR, limit=MAILS_PER_PASS):
            outcomes += passed
    except ServerUnavailable as error:
        raise click.ClickException(printable(str(error))) from None
    click.echo(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in MailOutcome) + ".")


@mail.command("test")
@click.argument("address")
def test(address: str) -> None:
    """Send a test mail to ADDRESS at once, past the queue."""
    delivery = _delivery()
    try:
        message_id = delivery.send_test(address)
    except (ValueError, BadTemplate, ServerUnavailable, TemporaryFailure, RecipientRefused) as error:
        raise click.ClickException(printable(str(error))) from None
    click.echo(f"The server accepted the mail {message_id}. Look whether it arrives, and not as spam.")


@mail.command("queue")
@json_option
def queue(as_json: bool) -> None:
    """Show the mails that wait, without addresses: how many, and up to 100 of them, those that are due first."""
    state, mails = read_queue(), list_mails()
    if as_json:
        summary = {
            "queued": state.queued,
            "oldest_seconds": state.oldest_seconds,
            "given_up_last_day": state.given_up,
        }
        print_json(summary | {"mails": [_as_json(each._asdict()) for each in mails]})
        return
    click.echo(
        f"{state.queued} queued, the oldest for {state.oldest_seconds} s. {state.given_up} given up in the last day."
    )
    for each in mails:
        due = clock.rfc3339(each.next_attempt_at)
        click.echo(f"{each.id}  {each.kind}  attempts: {each.attempts}  due: {due}  {each.last_error or ''}".rstrip())


def _as_json(row: dict[str, Any]) -> dict[str, object]:
    times = {name: clock.rfc3339(row[name]) for name in ("created_at", "next_attempt_at", "claimed_until")}
    return row | times | {"id": str(row["id"])}


def _watch(delivery: MailDelivery, heartbeat: Path | None) -> None:
    stopped = False

    def running() -> bool:
        if heartbeat:
            heartbeat.touch()
        return not stopped

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug documents it
    MailSender(delivery, app.app_context).send_while(running, OPERATOR)


def _delivery() -> MailDelivery:
    delivery = services().mail.delivery
    if delivery is None:
        raise click.ClickException(
            "AUTHAPP_MAIL_URL is not set: set it to the mail server, such as smtp://user:password@mail.example.com,"
            " and AUTHAPP_MAIL_FROM to the sender."
        )
    return delivery
