"""The outbox: a mail is stored in the transaction of the change that it reports, and sent afterwards by any node.

A sender claims mails and commits. It then sends each one, removes or postpones it, and commits again. If the sender is
killed in between, its claim expires and another sender takes the mail. So each mail is sent at least once. Claims are
timed by PostgreSQL: a node whose clock is fast would take mails that others are sending.

Each function works within the caller's open transaction.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from secrets import randbelow
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, delete, func, select, update

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, server_now
from authapp.domain.failures import printable
from authapp.domain.mail.ages import UNSENT_KEPT_FOR
from authapp.domain.mail.kinds import MailDetails, require_details
from authapp.domain.mail.mail_context import mail_context
from authapp.domain.pruning import Prunable, prunables
from authapp.models import OutgoingMail
from authapp.security import identifiers

FIRST_RETRY = timedelta(seconds=30)
DEFERRAL = FIRST_RETRY
"""How long a mail that stopped a delivery waits, so that the next one begins with another."""

MAX_RETRY_DELAY = timedelta(hours=1)
MAX_JITTER_PERCENT = 20
"""By how much a delay is prolonged at random, so that mails that failed together are not all tried at once."""

MAX_ATTEMPTS = 32_767
"""As many as the column can hold; further attempts are not counted."""

# Senders give up what is too old. This bounds the table also where no sender runs.
prunables.register("outgoing_mail", Prunable("unsent_mails", OutgoingMail.next_attempt_at, kept_for=UNSENT_KEPT_FOR))

_DOUBLINGS = math.ceil(math.log2(MAX_RETRY_DELAY / FIRST_RETRY))


def add(
    kind: str,
    *,
    user_id: UUID | None,
    address: str | None,
    context: RequestContext,
    details: MailDetails | None = None,
) -> UUID:
    """Store a mail of this kind for a user or an address, and return its id.

    ``details`` are what the templates need beyond the account and the request, under the names that the kind says.
    Raises ``ValueError`` if they are others, and ``KeyError`` for a kind that is not registered. Do not store
    secrets or text, which are created when the mail is sent, nor what a client chose if the address may be
    unverified: it would be a message to whoever has the address.
    """
    details = dict(details or {})
    require_details(kind, details)
    mail = OutgoingMail(
        id=identifiers.time_ordered(),
        kind=kind,
        user_id=user_id,
        address=address,
        context=mail_context(context),
        details=details,
        next_attempt_at=clock.now(),
        created_at=clock.now(),
    )
    db.session.add(mail)
    db.session.flush()
    return mail.id


def claim(count: int, lease: timedelta) -> Sequence[OutgoingMail]:
    """Return up to ``count`` mails, those that have been due for the longest, in that order.

    No other sender can claim them until ``lease`` has passed. Rows that another sender is claiming are skipped, so
    that senders do not wait for each other.
    """
    now = server_now()
    free = func.coalesce(OutgoingMail.claimed_until, OutgoingMail.created_at) <= now
    due = (
        select(OutgoingMail.id)
        .where(OutgoingMail.next_attempt_at <= now, free)
        .order_by(OutgoingMail.next_attempt_at)
        .limit(count)
        .with_for_update(skip_locked=True)
        # As a CTE it runs once: PostgreSQL may run a subquery with a limit for each row, and so claim them all.
        .cte("due")
    )
    claimed = (
        update(OutgoingMail)
        .where(OutgoingMail.id.in_(select(due.c.id)))
        .values(claimed_until=now + lease, attempts=func.least(OutgoingMail.attempts + 1, MAX_ATTEMPTS))
        .returning(OutgoingMail)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    # PostgreSQL returns them in any order.
    return sorted(db.session.scalars(claimed), key=lambda mail: (mail.next_attempt_at, mail.id))


def extend_lease(mail: OutgoingMail, lease: timedelta) -> bool:
    """Prolong a claim, and tell whether it still was this sender's: another one may have taken the mail since."""
    until = server_now() + lease
    renewed = update(OutgoingMail).where(*_claimed(mail)).values(claimed_until=until).returning(OutgoingMail.id)
    if db.session.scalar(renewed.execution_options(synchronize_session=False)) is None:
        return False
    mail.claimed_until = until
    return True


def release(mails: Sequence[OutgoingMail]) -> None:
    """End the claims on mails that were not tried. They are due at once, and their attempt does not count."""
    for mail in mails:
        _run(update(OutgoingMail).where(*_claimed(mail)).values(_RELEASED))


def defer(mail: OutgoingMail) -> None:
    """Release a mail that may be why a delivery stopped. Its attempt does not count, and others go first."""
    values = {**_RELEASED, "next_attempt_at": clock.now() + DEFERRAL}
    _run(update(OutgoingMail).where(*_claimed(mail)).values(values))


def remove(mail: OutgoingMail) -> None:
    """Remove a mail that was sent, dropped or given up, unless the claim is over and another sender has it."""
    _run(delete(OutgoingMail).where(*_claimed(mail)))


def postpone(mail: OutgoingMail, error: str) -> None:
    """Try a mail again later: after 30 s, and twice as long each time, up to an hour. ``error`` says why."""
    delay = min(FIRST_RETRY * 2 ** min(mail.attempts - 1, _DOUBLINGS), MAX_RETRY_DELAY)
    delay *= 1 + randbelow(MAX_JITTER_PERCENT + 1) / 100
    values = {"next_attempt_at": clock.now() + delay, "claimed_until": None, "last_error": printable(error)}
    _run(update(OutgoingMail).where(*_claimed(mail)).values(values))


def _run(statement: Update | Delete) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))


_RELEASED: dict[str, Any] = {"claimed_until": None, "attempts": func.greatest(OutgoingMail.attempts - 1, 0)}


def _claimed(mail: OutgoingMail) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a mail is still claimed as it was when it was read."""
    return OutgoingMail.id == mail.id, OutgoingMail.claimed_until == mail.claimed_until
