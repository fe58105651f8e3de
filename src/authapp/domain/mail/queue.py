"""The mails that wait, for operators. No address and nothing of a mail's text is among it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select

from authapp import clock
from authapp.database.session import db
from authapp.domain.audit.events import EventType
from authapp.models import AuditEvent, OutgoingMail

MAX_LISTED = 100


@dataclass(frozen=True)
class MailQueue:
    """How many mails wait, since when the longest, and how many were given up in the last 24 hours."""

    queued: int
    oldest_at: datetime | None
    given_up: int

    @property
    def oldest_seconds(self) -> int:
        """The age of the oldest mail in seconds; 0 if none waits."""
        return int((clock.now() - self.oldest_at).total_seconds()) if self.oldest_at else 0


def read_queue() -> MailQueue:
    """Return the state of the queue. It reads the whole table, so it is for the command line, not for requests."""
    given_up = select(func.count()).where(
        AuditEvent.type == EventType.MAIL_FAILED, AuditEvent.occurred_at > clock.now() - timedelta(days=1)
    )
    statement = select(func.count(), func.min(OutgoingMail.created_at), given_up.scalar_subquery())
    queued, oldest_at, given_up_lately = db.session.execute(statement).one()
    return MailQueue(queued, oldest_at, given_up_lately)


def list_mails() -> Sequence[Row[Any]]:
    """Return up to ``MAX_LISTED`` mails, those that are due first."""
    columns = ("id", "kind", "attempts", "created_at", "next_attempt_at", "claimed_until", "last_error")
    statement = select(*(getattr(OutgoingMail, name) for name in columns))
    return db.session.execute(statement.order_by(OutgoingMail.next_attempt_at).limit(MAX_LISTED)).all()
