"""Delivery: the mails of the outbox are sent, each by itself, by any number of senders at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import bindparam, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock, metrics, tracing
from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db, transaction
from authapp.domain.mail import outbox
from authapp.domain.mail.attempts import MailAttempts, MailOutcome
from authapp.domain.mail.kinds import mail_kinds
from authapp.domain.mail.mail_context import sender_context
from authapp.domain.mail.messages import MailMessages, envelope_address
from authapp.domain.mail.transports import ServerUnavailable, Transport, TransportFactory
from authapp.models import OutgoingMail
from authapp.models.user import checked_email

BATCH = 10
"""How many mails are claimed at once."""

LEASE_MARGIN = timedelta(seconds=30)
"""By how much a claim outlasts the time that the mail server has for a connection and for one mail."""


class MailDelivery:
    """Sends the mails that are due."""

    def __init__(
        self,
        messages: MailMessages,
        transports: TransportFactory,
        fast_path: FastPath,
        *,
        timeout: float,
    ) -> None:
        """Take how mails are made and sent, and how many seconds the mail server has for one."""
        self.messages, self.transports, self._fast_path = messages, transports, fast_path
        self._lease = timedelta(seconds=2 * timeout) + LEASE_MARGIN
        self._attempts = MailAttempts(messages, self._lease)

    def check_server(self) -> None:
        """Connect to the mail server and log in, and send nothing. Raises ``ServerUnavailable``."""
        transport = self.transports()
        try:
            transport.open()
        finally:
            transport.close()

    def send_test(self, address: str) -> str:
        """Send a test mail at once, past the outbox, and return its ``Message-ID``.

        Raises ``ValueError`` for no address, ``BadTemplate``, ``ServerUnavailable``, ``TemporaryFailure`` or
        ``RecipientRefused``.
        """
        recipient = envelope_address(checked_email(address))
        message, transport = self.messages.build_test(recipient), self.transports()
        try:
            transport.open()
            transport.send(message, recipient)
        finally:
            transport.close()
        return str(message["Message-ID"])

    def deliver(
        self, context: RequestContext, *, limit: int, running: Callable[[], bool] = lambda: True
    ) -> Counter[MailOutcome]:
        """Send mails until none is due, ``limit`` have been tried, or ``running`` returns false between two of them.

        ``context`` is that of the sender; what is recorded of a mail also names the request that caused it.

        Raises ``ServerUnavailable`` if the mail server takes no mail, and ``SQLAlchemyError`` if the database cannot be
        asked. Then all mails are left as they were, except that the one that stopped the delivery is due a little
        later, so that the next pass begins with others.
        """
        outcomes: Counter[MailOutcome] = Counter()
        transport = self.transports()
        try:
            while (left := limit - outcomes.total()) > 0 and running() and self._has_due():
                mails = self._claim(min(BATCH, left))
                if not mails:
                    break
                for outcome in self._deliver_all(mails, transport, context, running):
                    outcomes[outcome] += 1
        finally:
            transport.close()
        return outcomes

    def _has_due(self) -> bool:
        # One round trip that changes nothing, once a second in each worker, instead of the three of a transaction.
        return self._fast_path.read(_DUE, {"now": clock.now()}) is not None

    def _claim(self, count: int) -> Sequence[OutgoingMail]:
        with transaction():
            mails = outbox.claim(count, self._lease)
        # A rollback for one mail would otherwise expire the others, and reading them would ask the database again.
        db.session.expunge_all()
        return mails

    def _deliver_all(
        self,
        mails: Sequence[OutgoingMail],
        transport: Transport,
        context: RequestContext,
        running: Callable[[], bool],
    ) -> list[MailOutcome]:
        outcomes = []
        for number, mail in enumerate(mails):
            try:
                if not running():
                    self._release(mails[number:])
                    break
                outcomes.append(self._attempt(mail, transport, context))
            except ServerUnavailable:
                self._release(mails[number:])
                raise
            except Exception:
                self._release_after_error(mail, mails[number + 1 :])
                raise
        return outcomes

    def _attempt(self, mail: OutgoingMail, transport: Transport, context: RequestContext) -> MailOutcome:
        kind = mail.kind if mail.kind in mail_kinds else "unknown"
        with tracing.continued_span(
            f"send {kind}", mail.context.get("traceparent"), {"authapp.mail.kind": kind}
        ) as span:
            outcome = self._attempts.attempt(mail, transport, sender_context(mail, context))
            span.set_attribute("authapp.mail.outcome", outcome)
        metrics.MAIL_ATTEMPTS.labels(kind, outcome).inc()
        return outcome

    def _release_after_error(self, mail: OutgoingMail, others: Sequence[OutgoingMail]) -> None:
        """Defer the mail that stopped the delivery, and release the others, each if the database allows it.

        What it does not allow waits until the claim is over.
        """
        with suppress(SQLAlchemyError):
            self._release(others)
        with suppress(SQLAlchemyError), transaction():
            outbox.defer(mail)

    def _release(self, mails: Sequence[OutgoingMail]) -> None:
        with transaction():
            outbox.release(mails)


_DUE = PreparedStatement(
    select(literal(1).label("due"))
    .where(
        OutgoingMail.next_attempt_at <= bindparam("now", type_=OutgoingMail.next_attempt_at.type),
        func.coalesce(OutgoingMail.claimed_until, OutgoingMail.created_at)
        <= bindparam("now", type_=OutgoingMail.next_attempt_at.type),
    )
    .limit(1)
)
