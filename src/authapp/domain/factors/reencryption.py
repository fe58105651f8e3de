"""Encrypting stored secrets anew with the first key, while requests flow, so that an older key can be removed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Row, column, select, tuple_, update, values

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
    after: tuple[Any, ...] = ()
    while True:
        with transaction():
            rows = _lock_batch(table, key_id, after)
            reencrypted, damaged = _reencrypted(keys, table.purpose, key_id, rows)
            if reencrypted:
                _store(table, reencrypted, key_id, keys.first.kid)
        if not rows:
            return
        yield len(reencrypted), damaged
        after = tuple(rows[-1])[1:]


def _lock_batch(table: EncryptedTable, key_id: str, after: tuple[Any, ...]) -> Sequence[Row[Any]]:
    # By the index, in its order: rows that were done are behind, and so are the dead ones that they leave in it.
    batch = (
        select(table.model.secret, *table.key)
        .where(table.model.key_id == key_id, *([tuple_(*table.key) > after] if after else []))
        .order_by(*table.key)
        .limit(BATCH)
    )
    return db.session.execute(batch.with_for_update(skip_locked=True)).all()


def _reencrypted(
    keys: EncryptionKeys, purpose: str, key_id: str, rows: Sequence[Row[Any]]
) -> tuple[list[tuple[Any, ...]], list[UUID]]:
    """Return the secrets encrypted anew, each with its primary key, and the users whose secrets are damaged."""
    reencrypted, damaged = [], []
    for row in rows:
        try:
            secret = keys.decrypt(key_id, row.secret, purpose, row.user_id)
        except ForgedValue:
            damaged.append(row.user_id)
        else:
            reencrypted.append((keys.encrypt(secret, purpose, row.user_id).data, *tuple(row)[1:]))
    return reencrypted, damaged


def _store(table: EncryptedTable, reencrypted: list[tuple[Any, ...]], old: str, new: str) -> None:
    key = [column(each.key, each.type) for each in table.key]
    rows = values(column("secret", LargeBinary), *key, name="reencrypted").data(reencrypted)
    same_key = [each == rows.c[each.key] for each in table.key]
    statement = update(table.model).where(*same_key, table.model.key_id == old)
    db.session.execute(statement.values(secret=rows.c.secret, key_id=new).execution_options(synchronize_session=False))
