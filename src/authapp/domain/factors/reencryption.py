"""Encrypting stored secrets anew with the first key, while requests flow, so that an older key can be removed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Row, Uuid, column, select, update, values

from authapp.database.session import db, transaction
from authapp.domain.factors.stored_keys import EncryptedTable, encrypted_tables, needed_key_ids
from authapp.security.encryption_keys import EncryptionKeys, ForgedValue

BATCH = 500
"""How many rows one transaction locks. A login of one of their users waits for it."""


@dataclass(frozen=True)
class Reencryption:
    """What was done: how many secrets were encrypted anew, and whose were not, because they are damaged.

    ``needed`` are the keys, besides the first one, that rows still need: those that are missing, and those of damaged
    rows and of rows that were in use.
    """

    done: int
    damaged: Sequence[UUID]
    needed: Sequence[str]


def reencrypt(keys: EncryptionKeys) -> Reencryption:
    """Encrypt with the first of ``keys`` what is encrypted with another one of them. Safe to run again at any time.

    Works in batches of ``BATCH`` rows, each in a short transaction of its own. Rows that are in use are skipped.
    """
    done, damaged = 0, list[UUID]()
    for key_id in _needed_besides_first(keys):
        for table in encrypted_tables.values() if key_id in keys else ():
            for sealed, broken in _batches(keys, table, key_id):
                done += sealed
                damaged += broken
    return Reencryption(done, damaged, _needed_besides_first(keys))


def _needed_besides_first(keys: EncryptionKeys) -> list[str]:
    return [key_id for key_id in needed_key_ids() if key_id != keys.first.kid]


def _batches(keys: EncryptionKeys, table: EncryptedTable, key_id: str) -> Iterator[tuple[int, list[UUID]]]:
    """Encrypt anew what is encrypted with ``key_id``; yield, for each batch, how many, and whose are damaged."""
    after = UUID(int=0)
    while True:
        with transaction():
            rows = _lock_batch(table.model, key_id, after)
            anew, damaged = _reencrypted(keys, table.purpose, key_id, rows)
            if anew:
                _store(table.model, anew, key_id, keys.first.kid)
        if not rows:
            return
        yield len(anew), damaged
        after = rows[-1].user_id


def _lock_batch(model: Any, key_id: str, after: UUID) -> Sequence[Row[UUID, bytes]]:
    # By the index, in its order: rows that were done are behind, and so are the dead ones that they leave in it.
    batch = (
        select(model.user_id, model.secret)
        .where(model.key_id == key_id, model.user_id > after)
        .order_by(model.user_id)
        .limit(BATCH)
    )
    return db.session.execute(batch.with_for_update(skip_locked=True)).all()


def _reencrypted(
    keys: EncryptionKeys, purpose: str, key_id: str, rows: Sequence[Row[UUID, bytes]]
) -> tuple[list[tuple[UUID, bytes]], list[UUID]]:
    """Return the users with their secrets encrypted anew, and the users whose secrets are damaged."""
    anew, damaged = [], []
    for row in rows:
        try:
            secret = keys.decrypt(key_id, row.secret, purpose, row.user_id)
        except ForgedValue:
            damaged.append(row.user_id)
        else:
            anew.append((row.user_id, keys.encrypt(secret, purpose, row.user_id).data))
    return anew, damaged


def _store(model: Any, anew: list[tuple[UUID, bytes]], old: str, new: str) -> None:
    rows = values(column("user_id", Uuid), column("secret", LargeBinary), name="anew").data(anew)
    statement = update(model).where(model.user_id == rows.c.user_id, model.key_id == old)
    db.session.execute(statement.values(secret=rows.c.secret, key_id=new).execution_options(synchronize_session=False))
