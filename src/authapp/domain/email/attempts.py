"""One attempt to send a mail. It is prepared, handed over and recorded, and each step has its own rule for failures.

No transaction is open, and no connection to the database is held, while the mail server is waited for.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from enum import StrEnum
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.errors import is_outage
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit.events import EventType
from authapp.domain.email import one_time_secrets
from authapp.domain.email.ages import GIVE_UP_AFTER
from authapp.domain.email.kinds import UnknownKind, mail_kinds, resolve
from authapp.domain.email.messages import MailMessages, envelope_address
from authapp.domain.email.one_time_secrets import OneTimeSecrets
from authapp.domain.email.outbox import Outbox
from authapp.domain.email.templates import BadTemplate
from authapp.domain.email.transports import RecipientRefused, ServerUnavailable, TemporaryFailure, Transport
from authapp.domain.one_time_tokens import OneTimeTokens, TooManyTokens
from authapp.models import OutgoingMail

logger = logging.getLogger(__name__)


class MailOutcome(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    POSTPONED = "postponed"
    FAILED = "failed"
    """It was given up: the recipient was refused, or it could not be sent in time."""
    DROPPED = "dropped"
    """Nobody is to get it, because no account has the address, or the request is out of date."""
    TAKEN = "taken"
    """The claim ended before it was this mail's turn, and another sender has it."""


@dataclass
class _Attempt:
    """One attempt to send a mail, and the request that caused it.

    ``kind`` is what is sent: the kind of the mail, or the one that it falls back to. ``user_id`` is the account, once
    that is known.
    """

    mail: OutgoingMail
    context: RequestContext
    kind: str
    user_id: UUID | None


@dataclass(frozen=True)
class _PreparedMail:
    """What is handed to the mail server, and the token in it, which is stored already."""

    message: EmailMessage
    address: str
    secrets: OneTimeSecrets | None


class MailAttempts:
    """Attempts to send mails that this sender has claimed."""

    def __init__(self, outbox: Outbox, tokens: OneTimeTokens, messages: MailMessages, lease: timedelta) -> None:
        """Take how long a claim lasts, which is renewed before each mail."""
        self._outbox, self._tokens, self._messages, self._lease = outbox, tokens, messages, lease

    def attempt(self, mail: OutgoingMail, transport: Transport, context: RequestContext) -> MailOutcome:
        """Attempt to send a mail, and return what became of it. ``context`` is that of the request that caused it.

        Raises ``ServerUnavailable`` if the mail server takes no mail, and ``SQLAlchemyError`` in an outage of the
        database.
        """
        attempt = _Attempt(mail, context, mail.kind, mail.user_id)
        try:
            prepared = self._prepare(attempt, transport)
        except ServerUnavailable:
            raise
        except Exception as error:
            if _is_outage(error):
                raise
            # One mail that cannot be made, such as one of an unknown kind, must not hold up the others.
            logger.exception("a mail of the kind %s cannot be made", attempt.kind)
            return self._postpone_unmade(attempt, error)
        if isinstance(prepared, MailOutcome):
            return prepared
        return self._send(attempt, prepared, transport) or self._record(attempt)

    def _prepare(self, attempt: _Attempt, transport: Transport) -> _PreparedMail | MailOutcome:
        """Return the mail with its token, or what became of it instead. If anything raises, no token was stored."""
        if outcome := self._check(attempt):
            return outcome
        # Before the token is made: while the server is away, none is.
        transport.open()
        return self._make(attempt)

    def _check(self, attempt: _Attempt) -> MailOutcome | None:
        """Renew the claim, and return nothing; or return why the mail is not to be sent, or not by this sender."""
        mail = attempt.mail
        with transaction():
            attempt.kind, recipient = resolve(mail, attempt.kind)
            if recipient is None:
                # Without having connected: mails to nobody, which guests can ask for, reach no server.
                self._outbox.remove(mail)
                return MailOutcome.DROPPED
            attempt.user_id = recipient.user.id
            if not self._outbox.renew(mail, self._lease):
                return MailOutcome.TAKEN
        if clock.now() - mail.created_at >= mail_kinds[attempt.kind].max_age:
            return self._give_up(attempt, f"It could not be sent in time. {mail.last_error or ''}".strip())
        return None

    def _make(self, attempt: _Attempt) -> _PreparedMail | MailOutcome:
        mail = attempt.mail
        with transaction():
            attempt.kind, recipient = resolve(mail, attempt.kind)
            kind = mail_kinds[attempt.kind]
            try:
                secrets = one_time_secrets.issue(self._tokens, mail, kind, recipient) if recipient else None
            except TooManyTokens:
                attempt.kind, recipient = resolve(mail, kind.fallback) if kind.fallback else (attempt.kind, None)
                secrets = None
            if recipient is None:
                self._outbox.remove(mail)
                return MailOutcome.DROPPED
            attempt.user_id = recipient.user.id
            address = envelope_address(recipient.address)
            variables = self._messages.variables(mail, recipient, secrets)
            # In the transaction, so that a template that is broken leaves no token behind.
            message = self._messages.build(attempt.kind, mail.id, address, mail.context.get("locale"), variables)
        return _PreparedMail(message, address, secrets)

    def _send(self, attempt: _Attempt, prepared: _PreparedMail, transport: Transport) -> MailOutcome | None:
        """Hand the mail over. Return nothing if the server took it; otherwise void its token, and return what became.

        The token stays if the server may have taken the mail.
        """
        try:
            transport.send(prepared.message, prepared.address)
        except ServerUnavailable:
            self._void(prepared)
            # If it is this mail at which the server stops, it must not be the first of every pass.
            with transaction():
                self._outbox.defer(attempt.mail)
            raise
        except RecipientRefused as error:
            self._void(prepared)
            return self._give_up(attempt, str(error))
        except TemporaryFailure as error:
            if not error.may_have_arrived:
                self._void(prepared)
            return self._postpone(attempt, str(error))
        except Exception as error:
            logger.exception("a mail of the kind %s cannot be handed over", attempt.kind)
            self._void(prepared)
            return self._postpone_unmade(attempt, error)
        return None

    def _void(self, prepared: _PreparedMail) -> None:
        one_time_secrets.void(self._tokens, prepared.secrets)

    def _record(self, attempt: _Attempt) -> MailOutcome:
        """Record that the server took the mail. Its link is in somebody's mailbox, so its token stays in any case.

        In an outage of the database the row stays as well, and the mail is sent again when the claim is over.
        """
        mail = attempt.mail
        try:
            with transaction():
                self._outbox.remove(mail)
                for event in filter(None, (EventType.MAIL_SENT, mail_kinds[attempt.kind].event)):
                    audit.record(event, context=attempt.context, subject_id=attempt.user_id, kind=attempt.kind)
        except Exception as error:
            if _is_outage(error):
                raise
            logger.exception("a mail of the kind %s was sent, and its events cannot be recorded", attempt.kind)
            # Otherwise it would be sent again whenever a claim ends, until it is too old.
            with transaction():
                self._outbox.remove(mail)
        return MailOutcome.SENT

    def _postpone_unmade(self, attempt: _Attempt, error: Exception) -> MailOutcome:
        reason = str(error) if isinstance(error, BadTemplate | UnknownKind) else type(error).__name__
        return self._postpone(attempt, f"The mail cannot be made: {reason}")

    def _postpone(self, attempt: _Attempt, reason: str) -> MailOutcome:
        if clock.now() - attempt.mail.created_at >= GIVE_UP_AFTER:
            return self._give_up(attempt, reason)
        with transaction():
            self._outbox.postpone(attempt.mail, reason)
        return MailOutcome.POSTPONED

    def _give_up(self, attempt: _Attempt, reason: str) -> MailOutcome:
        logger.warning("a mail of the kind %s was given up: %s", attempt.kind, reason)
        with transaction():
            self._outbox.remove(attempt.mail)
            audit.record(
                EventType.MAIL_FAILED,
                context=attempt.context,
                subject_id=attempt.user_id,
                kind=attempt.kind,
                reason=reason,
            )
        return MailOutcome.FAILED


def _is_outage(error: Exception) -> bool:
    return isinstance(error, SQLAlchemyError) and is_outage(error)
