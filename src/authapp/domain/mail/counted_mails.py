"""Counted mails: those that guests request, such as a login link, and those to an address that was never verified.

The answer must not tell whether an account has the address, so nothing is looked up: one statement counts the request
and stores a mail to whom it may concern. When it is sent, the account is looked up, or the mail is dropped.
"""

from datetime import timedelta
from hashlib import sha256
from secrets import randbelow
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, bindparam, literal, select
from sqlalchemy.sql.dml import ReturningInsert

from authapp import clock
from authapp.config import RateLimit
from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db
from authapp.domain.mail.kinds import MailDetails, require_details
from authapp.domain.mail.statements import mail_insert, mail_params
from authapp.domain.rate_limits import charge_params, charge_statement
from authapp.models import OutgoingMail
from authapp.models.user import lookup_key

LIMIT_NAME = "mail_address"
MAX_DELAY_MS = 2_000
"""Sending makes the worker that does it slower for a moment, which the next request to it could measure."""


class CountedMails:
    """Stores mails, and counts them by address."""

    def __init__(self, fast_path: FastPath, limit: RateLimit | None) -> None:
        """Take the ``limit`` of requests for mails of one kind to one address; ``None`` means no limit."""
        self._fast_path = fast_path
        self._limit = limit
        self._prepared, self._statement = (_ADD_COUNTED, _COUNTED) if limit else (_ADD_UNCOUNTED, _UNCOUNTED)

    def store_and_commit(
        self, kind: str, address: str, context: RequestContext, *, challenge_hash: bytes | None = None
    ) -> None:
        """Store a mail of ``kind`` to the account that has ``address``, if one has. Above the limit, do nothing.

        ``challenge_hash`` binds a login link to the client that requested it. Raises ``KeyError`` for a kind that is
        not registered, and ``ValueError`` for one with details, which no request of a guest has.
        """
        self._fast_path.write(self._prepared, self._parameters(kind, address, context, challenge_hash=challenge_hash))

    def store_in_transaction(
        self,
        kind: str,
        address: str,
        context: RequestContext,
        *,
        user_id: UUID | None = None,
        details: MailDetails | None = None,
        delayed: bool = True,
    ) -> None:
        """Do the same within the open transaction, for a mail that belongs to a change.

        It counts as a request of a guest does, because the address may be that of somebody else. ``user_id`` is the
        account that the mail is about, if that is not the one that has the address. ``details`` are as for
        ``outbox.add``. It need not be ``delayed`` if sending it tells nobody whether an account exists.
        """
        values = self._parameters(kind, address, context, user_id=user_id, details=details, delayed=delayed)
        db.session.connection().execute(self._statement, values)

    def _parameters(
        self,
        kind: str,
        address: str,
        context: RequestContext,
        *,
        challenge_hash: bytes | None = None,
        user_id: UUID | None = None,
        details: MailDetails | None = None,
        delayed: bool = True,
    ) -> dict[str, Any]:
        details = dict(details or {})
        require_details(kind, details)
        delay = timedelta(milliseconds=randbelow(MAX_DELAY_MS) if delayed else 0)
        limit, key = self._limit, _limited_key(kind, address)
        charge = charge_params(key, LIMIT_NAME, limit) if limit else {"now": clock.now()}
        return {
            **charge,
            **mail_params(context),
            "kind": kind,
            "user_id": user_id,
            "mail_address": address,
            "challenge_hash": challenge_hash,
            "mail_details": details,
            "next_attempt_at": charge["now"] + delay,
        }


def _limited_key(kind: str, address: str) -> str:
    # By kind: requests of one kind, which may be dropped silently, must not use up those of another. A hash: the table
    # would otherwise list the addresses that guests typed.
    return "mail:" + sha256(f"{kind} {lookup_key(address)}".encode()).hexdigest()


def _add(source: CTE) -> ReturningInsert[UUID]:
    """Return the statement that stores a mail if ``source`` has a row."""
    names = {
        "kind": "kind",
        "user_id": "user_id",
        "address": "mail_address",
        "challenge_hash": "challenge_hash",
        "details": "mail_details",
        "next_attempt_at": "next_attempt_at",
        "created_at": "now",
    }
    columns: dict[str, Any] = OutgoingMail.__table__.c
    values = {column: bindparam(name, type_=columns[column].type) for column, name in names.items()}
    return mail_insert(source, values).returning(OutgoingMail.id)


_COUNTED = _add(charge_statement().cte("counted"))
_UNCOUNTED = _add(select(literal(1)).cte("uncounted"))
_ADD_COUNTED, _ADD_UNCOUNTED = PreparedStatement(_COUNTED), PreparedStatement(_UNCOUNTED)
