"""Delivery: the mails of the outbox are sent, each by itself, by any number of senders at once.

No transaction is open, and no connection to the database is held, while the mail server is waited for.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import bindparam, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.errors import is_outage
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit.events import EventType
from authapp.domain.email import one_time_secrets
from authapp.domain.email.kinds import MailKind, Recipient, mail_kinds
from authapp.domain.email.messages import MailMessages, envelope_address
from authapp.domain.email.one_time_secrets import OneTimeSecrets
from authapp.domain.email.outbox import GIVE_UP_AFTER, Outbox
from authapp.domain.email.templates import BadTemplate
from authapp.domain.email.transports import (
    RecipientRefused,
    ServerUnavailable,
    TemporaryFailure,
    Transport,
    TransportFactory,
)
from authapp.domain.one_time_tokens import OneTimeTokens, TooManyTokens
from authapp.models import OutgoingMail

BATCH = 10
"""How many mails are claimed at once."""

LEASE_MARGIN = timedelta(seconds=30)
"""By how much a claim outlasts the time that the mail server has for a connection and for one mail."""

logger = logging.getLogger(__name__)


class MailOutcome(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    POSTPONED = "postponed"
    FAILED = "failed"
    """It was given up: the recipient was refused, or a day has passed."""
    DROPPED = "dropped"
    """Nobody is to get it: no account has the address, the request is out of date, or its owner has links enough."""
    TAKEN = "taken"
    """The claim ended before it was this mail's turn, and another sender has it."""


class UnknownKind(Exception):
    """A mail is of a kind that this process does not know."""


@dataclass
class _Attempt:
    """One attempt to send a mail, and what is known so far."""

    mail: OutgoingMail
    user_id: UUID | None
    secrets: OneTimeSecrets | None = None


class MailDelivery:
    """Sends the mails that are due."""

    def __init__(
        self,
        outbox: Outbox,
        tokens: OneTimeTokens,
        messages: MailMessages,
        transports: TransportFactory,
        fast_path: FastPath,
        *,
        timeout: float,
    ) -> None:
        """Take where the mails are, how they are made and sent, and how many seconds the mail server has for one."""
        self._outbox, self._tokens, self._fast_path = outbox, tokens, fast_path
        self.messages, self.transports = messages, transports
        self._lease = timedelta(seconds=2 * timeout) + LEASE_MARGIN

    def deliver(
        self, context: RequestContext, *, limit: int, running: Callable[[], bool] = lambda: True
    ) -> Counter[MailOutcome]:
        """Send mails until none is due, ``limit`` have been tried, or ``running`` returns false between two of them.

        ``context`` is that of the sender; what is recorded of a mail also names the request that caused it.

        Raises ``ServerUnavailable`` if the mail server takes no mail; then all mails are left as they were.
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
            mails = self._outbox.claim(count, self._lease)
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
                outcomes.append(self._deliver_one(mail, transport, _caused(mail, context)))
            except ServerUnavailable:
                self._release(mails[number:])
                raise
        return outcomes

    def _release(self, mails: Sequence[OutgoingMail]) -> None:
        with transaction():
            self._outbox.release(mails)

    def _deliver_one(self, mail: OutgoingMail, transport: Transport, context: RequestContext) -> MailOutcome:
        attempt = _Attempt(mail, mail.user_id)
        try:
            return self._attempt(attempt, transport, context)
        except ServerUnavailable:
            one_time_secrets.void(self._tokens, attempt.secrets)
            raise
        except RecipientRefused as error:
            one_time_secrets.void(self._tokens, attempt.secrets)
            return self._give_up(attempt, str(error), context)
        except TemporaryFailure as error:
            if not error.may_have_arrived:
                one_time_secrets.void(self._tokens, attempt.secrets)
            return self._postpone(attempt, str(error), context)
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and is_outage(error):
                raise
            # One mail that cannot be made, such as one of an unknown kind, must not hold up the others.
            logger.exception("a mail of the kind %s cannot be made", mail.kind)
            one_time_secrets.void(self._tokens, attempt.secrets)
            reason = str(error) if isinstance(error, BadTemplate | UnknownKind) else type(error).__name__
            return self._postpone(attempt, f"The mail cannot be made: {reason}", context)

    def _attempt(self, attempt: _Attempt, transport: Transport, context: RequestContext) -> MailOutcome:
        mail = attempt.mail
        if outcome := self._drop_or_renew(mail):
            return outcome
        # Before the token is made: while the server is away, none is.
        transport.open()
        with transaction():
            kind = _kind_of(mail)
            recipient = kind.recipient(mail)
            try:
                secrets = one_time_secrets.issue(self._tokens, mail, kind, recipient) if recipient else None
            except TooManyTokens:
                kind, recipient, secrets = _without_token(mail, kind)
            if recipient is None:
                self._outbox.remove(mail.id)
                return MailOutcome.DROPPED
            attempt.user_id = recipient.user.id
            variables = self.messages.variables(mail, recipient, secrets)
        attempt.secrets = secrets
        address = envelope_address(recipient.address)
        message = self.messages.build(mail.kind, mail.id, address, mail.context.get("locale"), variables)
        transport.send(message, address)
        with transaction():
            self._outbox.remove(mail.id)
            for event in filter(None, (EventType.MAIL_SENT, kind.event)):
                audit.record(event, context=context, subject_id=attempt.user_id, kind=mail.kind)
        return MailOutcome.SENT

    def _drop_or_renew(self, mail: OutgoingMail) -> MailOutcome | None:
        """Renew the claim, and return nothing; or return why the mail is not this sender's to send."""
        with transaction():
            if _kind_of(mail).recipient(mail) is None:
                # Without having connected: mails to nobody, which guests can ask for, reach no server.
                self._outbox.remove(mail.id)
                return MailOutcome.DROPPED
            return None if self._outbox.renew(mail, self._lease) else MailOutcome.TAKEN

    def _postpone(self, attempt: _Attempt, reason: str, context: RequestContext) -> MailOutcome:
        if clock.now() - attempt.mail.created_at >= GIVE_UP_AFTER:
            return self._give_up(attempt, reason, context)
        with transaction():
            self._outbox.postpone(attempt.mail, reason)
        return MailOutcome.POSTPONED

    def _give_up(self, attempt: _Attempt, reason: str, context: RequestContext) -> MailOutcome:
        logger.warning("a mail of the kind %s was given up: %s", attempt.mail.kind, reason)
        with transaction():
            self._outbox.remove(attempt.mail.id)
            audit.record(
                EventType.MAIL_FAILED,
                context=context,
                subject_id=attempt.user_id,
                kind=attempt.mail.kind,
                reason=reason,
            )
        return MailOutcome.FAILED


def _kind_of(mail: OutgoingMail) -> MailKind:
    """Return the kind of a mail; if nobody is to get one of that kind, the one to fall back to, which the mail gets."""
    if mail.kind not in mail_kinds:
        raise UnknownKind(f"There is no kind of mail {mail.kind!r}.")
    kind = mail_kinds[mail.kind]
    if kind.fallback is None or kind.recipient(mail) is not None:
        return kind
    mail.kind = kind.fallback
    return _kind_of(mail)


def _without_token(mail: OutgoingMail, kind: MailKind) -> tuple[MailKind, Recipient | None, None]:
    """Return what to send instead of a mail that can have no token, and to whom: nobody without a fallback."""
    if kind.fallback is None:
        return kind, None, None
    mail.kind = kind.fallback
    kind = _kind_of(mail)
    return kind, kind.recipient(mail), None


def _caused(mail: OutgoingMail, context: RequestContext) -> RequestContext:
    """Return the context of the sender with the request that caused the mail."""
    cause = mail.context
    return replace(context, request_id=cause.get("request_id"), ip_address=cause.get("ip_address"), user_agent=None)


_DUE = PreparedStatement(
    select(literal(1).label("due"))
    .where(
        OutgoingMail.next_attempt_at <= bindparam("now", type_=OutgoingMail.next_attempt_at.type),
        func.coalesce(OutgoingMail.claimed_until, OutgoingMail.created_at)
        <= bindparam("now", type_=OutgoingMail.next_attempt_at.type),
    )
    .limit(1)
)
