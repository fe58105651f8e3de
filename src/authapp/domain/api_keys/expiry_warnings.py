"""Mails that warn the owner of an API key a week before it expires: one for each key, whichever node stores it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from random import uniform
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, and_, cast, func, literal, select, tuple_, update

from authapp import clock
from authapp.database.session import db, transaction
from authapp.domain.background import sleep, survive
from authapp.domain.mail import recipients
from authapp.domain.mail.kinds import MailKind, Recipient, mail_kinds
from authapp.domain.mail.statements import mail_batch_insert
from authapp.models import ApiKey, OutgoingMail, User, UserKind

WARNED_BEFORE = timedelta(days=7)
"""How long before its end the owner of a key is warned: not of one that was made for no longer than that."""

BATCH = 500
FIRST_PASS_SECONDS = 60.0
PASS_SECONDS = 3_600.0


def _recipient(mail: OutgoingMail) -> Recipient | None:
    """Return the active account at its verified address, if it still has the key.

    An address that is not verified may be a stranger's, and an account makes as many keys as it likes.
    """
    key = db.session.get(ApiKey, (mail.user_id, UUID(str(mail.details["api_key_id"]))))
    owner = None if key is None else recipients.active_owner(mail)
    return owner if owner is not None and owner.is_verified else None


_EXAMPLE = {
    "api_key_id": "019aa2b0-6f0e-7cc4-9f0a-3a9f1f6c2d11",
    "prefix": "ak_0354KEEayIwGMZ",
    "expires_at": "2026-12-04 09:48 UTC",
}
API_KEY_EXPIRING = mail_kinds.register("api_key_expiring", MailKind(_recipient, examples=[_EXAMPLE]))


class ExpiryWarnings:
    """Stores the warnings that are due, for as long as a process runs."""

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._app_context = app_context

    def store_while(self, running: Callable[[], bool]) -> None:
        """Store warnings once an hour while ``running`` returns true, for the first time within a minute."""
        # At random, so that workers that were started together do not look together.
        sleep(FIRST_PASS_SECONDS * uniform(0, 1), running)  # noqa: S311 - not a secret
        while running():
            survive(self._store, "the owners of API keys that expire are not warned")
            sleep(PASS_SECONDS * uniform(0.8, 1.2), running)  # noqa: S311 - not a secret

    def _store(self) -> None:
        with self._app_context():
            store_due()


def store_due() -> None:
    """Store a warning for each key that expires within ``WARNED_BEFORE``, in batches, and mark the keys."""
    while _store_batch() == BATCH:
        pass


def due_keys(now: datetime) -> Select[UUID, UUID]:
    """Return the query of a batch of keys to warn of, which locks them."""
    ends_soon = and_(ApiKey.expires_at > now, ApiKey.expires_at <= now + WARNED_BEFORE)
    due = select(ApiKey.user_id, ApiKey.id).where(ApiKey.warned_at.is_(None), ends_soon)
    # What another node is marking at this moment, it stores a mail for.
    return due.order_by(ApiKey.expires_at).limit(BATCH).with_for_update(skip_locked=True)


def _store_batch() -> int:
    """Mark keys and store their mails in one statement, so that one is there if the other is; return how many keys.

    A service account has no address, so its keys are marked without a mail: each key is looked at once.
    """
    now = clock.now()
    batch = due_keys(now).cte("batch")
    marked = (
        update(ApiKey)
        .where(tuple_(ApiKey.user_id, ApiKey.id).in_(select(batch.c.user_id, batch.c.id)))
        .values(warned_at=now)
        .returning(ApiKey.user_id, ApiKey.id, ApiKey.prefix, ApiKey.created_at, ApiKey.expires_at)
        .cte("marked")
    )
    is_long = marked.c.created_at < marked.c.expires_at - WARNED_BEFORE
    of_persons = (
        select(marked)
        .join(User, User.id == marked.c.user_id)
        .where(is_long, User.kind == UserKind.PERSON)
        .cte("of_persons")
    )
    key = of_persons.c
    expires_at = func.to_char(func.timezone("UTC", key.expires_at), 'YYYY-MM-DD HH24:MI "UTC"')
    mail = {
        "kind": literal(API_KEY_EXPIRING),
        "user_id": key.user_id,
        "details": func.jsonb_build_object(
            "api_key_id", cast(key.id, Text), "prefix", key.prefix, "expires_at", expires_at
        ),
        "next_attempt_at": literal(now, OutgoingMail.next_attempt_at.type),
        "created_at": literal(now, OutgoingMail.created_at.type),
    }
    stored = mail_batch_insert(of_persons, mail).returning(OutgoingMail.id).cte("stored")
    counted = select(func.count()).select_from(marked).add_cte(stored)
    with transaction() as session:
        return session.scalar(counted) or 0
