"""One attempt to send a mail. It is prepared, handed over and recorded, and each step has its own rule for failures.

No transaction is open, and no connection to the database is held, while the mail server is waited for.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from email.message import EmailMessage
from enum import StrEnum
from typing import Any
from uuid import UUID

from authapp import clock, tracing
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit.events import EventType
from authapp.domain.failures import log_failure, printable
from authapp.domain.mail import one_time_secrets, outbox
from authapp.domain.mail.ages import GIVE_UP_AFTER, NOTICE_MAX_AGE
from authapp.domain.mail.kinds import Recipient, UnknownKind, mail_kinds, with_fallbacks
from authapp.domain.mail.messages import MailMessages, envelope_address
from authapp.domain.mail.one_time_secrets import OneTimeSecrets
from authapp.domain.mail.templates import BadTemplate
from authapp.domain.mail.transports import RecipientRefused, ServerUnavailable, TemporaryFailure, Transport
from authapp.domain.one_time_tokens import TooManyTokens
from authapp.models import OutgoingMail

logger = logging.getLogger(__name__)


class MailOutcome(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    POSTPONED = "postponed"
    GIVEN_UP = "given_up"
    """The recipient was refused, it could not be sent in time, or its link could not be made."""
    DROPPED = "dropped"
    """Nobody is to get it, because no account has the address, or the request is out of date."""
    REASSIGNED = "reassigned"
    """The claim ended before it was this mail's turn, and another sender has it."""


@dataclass(frozen=True)
class _Attempt:
    """One attempt to send a mail, and the request that caused it."""

    mail: OutgoingMail
    context: RequestContext


@dataclass(frozen=True)
class _AuditedMail:
    """What events say of a mail: what was sent, which may be what its kind falls back to, and which account it is of.

    Until the mail is prepared, these are what its row says.
    """

    kind: str
    user_id: UUID | None
    is_verified: bool = False
    """Whether the address has been verified as that of the account."""

    def record(self, event_type: str, context: RequestContext, **details: Any) -> None:
        """Record what became of the mail.

        Users see the events whose subject they are. Of a mail to an address that may be somebody else's, these would
        tell whether an account has the address, or what the server says about the mailbox. So such an event has no
        subject, and the account among its details. It has no client either: an erasure does not find it.
        """
        if not self.is_verified:
            context = replace(context, ip_address=None, user_agent=None)
            if self.user_id is not None:
                details["user_id"] = str(self.user_id)
        subject_id = self.user_id if self.is_verified else None
        audit.record(event_type, context=context, subject_id=subject_id, kind=self.kind, **details)


@dataclass(frozen=True)
class _PreparedMail:
    """What is handed to the mail server, and the token in it, which is stored already."""

    audited: _AuditedMail
    message: EmailMessage
    address: str
    secrets: OneTimeSecrets | None


class MailAttempts:
    """Attempts to send mails that this sender has claimed."""

    def __init__(self, messages: MailMessages, lease: timedelta) -> None:
        """Take how long a claim lasts, which is renewed before each mail."""
        self._messages, self._lease = messages, lease

    def attempt(self, mail: OutgoingMail, transport: Transport, context: RequestContext) -> MailOutcome:
        """Attempt to send a mail, and return what became of it. ``context`` is that of the request that caused it.

        Raises ``ServerUnavailable`` if the mail server takes no mail, and ``SQLAlchemyError`` if the database can store
        nothing about the mail, as in an outage.
        """
        attempt = _Attempt(mail, context)
        try:
            prepared = self._prepare(attempt)
        except Exception as error:  # noqa: BLE001 - one mail that cannot be made must not hold up the others
            # Whatever PostgreSQL answered to a statement: a lock that was not given, or a table that is missing, may be
            # the trouble of this mail alone. It is an outage if the postponement fails as well.
            outcome = self._postpone_unmade(attempt, _AuditedMail(mail.kind, mail.user_id), error)
            log_failure(logger, f"a mail of the kind {mail.kind} cannot be made", error)
            return outcome
        if isinstance(prepared, MailOutcome):
            return prepared
        return self._send(attempt, prepared, transport) or self._record(attempt, prepared.audited)

    def _prepare(self, attempt: _Attempt) -> _PreparedMail | MailOutcome:
        """Return the mail with its token, or what became of it instead. If anything raises, no token was stored."""
        with transaction():
            # By itself: the rollback of what follows would take it back.
            if not outbox.extend_lease(attempt.mail, self._lease):
                return MailOutcome.REASSIGNED
        with transaction():
            return self._make(attempt)

    def _make(self, attempt: _Attempt) -> _PreparedMail | MailOutcome:
        """Do the same within the open transaction, for the first kind that somebody is to get and that has its link."""
        mail, without_link = attempt.mail, None
        for name in with_fallbacks(mail.kind):
            kind = mail_kinds[name]
            recipient = kind.recipient(mail)
            if recipient is None:
                continue
            audited = _AuditedMail(name, recipient.user.id, recipient.is_verified)
            if _is_too_old(mail, name):
                return self._give_up(attempt, audited, f"It could not be sent in time. {mail.last_error or ''}".strip())
            try:
                secrets = one_time_secrets.issue(mail, kind, recipient)
            except TooManyTokens:
                without_link = audited
                continue
            # In the transaction, so that a template that is broken leaves no token behind.
            return self._build(mail, audited, recipient, secrets)
        if without_link is not None:
            return self._give_up(attempt, without_link, "As many links as an account may have are in its mailbox.")
        outbox.remove(mail)
        return MailOutcome.DROPPED

    def _build(
        self, mail: OutgoingMail, audited: _AuditedMail, recipient: Recipient, secrets: OneTimeSecrets | None
    ) -> _PreparedMail:
        address = envelope_address(recipient.address)
        variables = self._messages.variables(audited.kind, mail, recipient, secrets)
        message = self._messages.build(audited.kind, mail.id, address, mail.context.get("locale"), variables)
        return _PreparedMail(audited, message, address, secrets)

    def _send(self, attempt: _Attempt, prepared: _PreparedMail, transport: Transport) -> MailOutcome | None:
        """Hand the mail over. Return nothing if the server took it; otherwise void its token, and return what became.

        The token stays if the server may have taken the mail.
        """
        is_open = False
        try:
            with tracing.client_span("hand over mail", {}):
                transport.open()
                is_open = True
                transport.send(prepared.message, prepared.address)
        except ServerUnavailable:
            one_time_secrets.void(prepared.secrets)
            if is_open:
                # The server may stop at this mail every time: the next pass must not begin with it.
                with transaction():
                    outbox.defer(attempt.mail)
            raise
        except RecipientRefused as error:
            one_time_secrets.void(prepared.secrets)
            with transaction():
                return self._give_up(attempt, prepared.audited, str(error))
        except TemporaryFailure as error:
            if not error.may_have_arrived:
                one_time_secrets.void(prepared.secrets)
            return self._postpone(attempt, prepared.audited, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hold up other mails
            log_failure(logger, f"a mail of the kind {prepared.audited.kind} cannot be handed over", error)
            one_time_secrets.void(prepared.secrets)
            return self._postpone_unmade(attempt, prepared.audited, error)
        return None

    def _record(self, attempt: _Attempt, audited: _AuditedMail) -> MailOutcome:
        """Record that the server took the mail. Its link is in somebody's mailbox, so its token stays in any case.

        If the row cannot be removed, as in an outage of the database, the mail is sent again.
        """
        mail = attempt.mail
        try:
            with transaction():
                outbox.remove(mail)
                audited.record(EventType.MAIL_SENT, attempt.context)
                if event := mail_kinds[audited.kind].event:
                    # It says as much as ``mail.sent``.
                    audited.record(event, attempt.context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail must not be sent again for it
            # Otherwise it would be sent again in every pass, until it is too old.
            with transaction():
                outbox.remove(mail)
            log_failure(logger, f"a mail of the kind {audited.kind} was sent, and its events cannot be recorded", error)
        return MailOutcome.SENT

    def _postpone_unmade(self, attempt: _Attempt, audited: _AuditedMail, error: Exception) -> MailOutcome:
        reason = str(error) if isinstance(error, BadTemplate | UnknownKind) else type(error).__name__
        return self._postpone(attempt, audited, f"The mail cannot be made: {reason}")

    def _postpone(self, attempt: _Attempt, audited: _AuditedMail, reason: str) -> MailOutcome:
        with transaction():
            # ``_make`` has looked at the age of its kind, unless it failed before that.
            is_hopeless = clock.now() - attempt.mail.created_at >= GIVE_UP_AFTER
            if is_hopeless or _is_too_old(attempt.mail, audited.kind):
                return self._give_up(attempt, audited, reason)
            outbox.postpone(attempt.mail, reason)
        return MailOutcome.POSTPONED

    def _give_up(self, attempt: _Attempt, audited: _AuditedMail, reason: str) -> MailOutcome:
        """Remove the mail within the open transaction, and record why."""
        reason = printable(reason)
        logger.warning("a mail of the kind %s was given up: %s", audited.kind, reason)
        outbox.remove(attempt.mail)
        audited.record(EventType.MAIL_FAILED, attempt.context, reason=reason)
        return MailOutcome.GIVEN_UP


def _is_too_old(mail: OutgoingMail, kind: str) -> bool:
    max_age = mail_kinds[kind].max_age if kind in mail_kinds else NOTICE_MAX_AGE
    return clock.now() - mail.created_at >= max_age
