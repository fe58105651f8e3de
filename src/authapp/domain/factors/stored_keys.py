"""Which encryption keys the stored secrets need. One that is missing is found before its owner wants to log in."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from authapp.database.session import read_one
from authapp.domain.readiness_checks import HealthProblem
from authapp.registry import Registry
from authapp.security.encryption_keys import EncryptionKeys


@dataclass(frozen=True)
class EncryptedTable:
    """A table of secrets that ``EncryptionKeys`` has encrypted for ``purpose``.

    ``model`` has the columns ``user_id``, ``key_id`` and ``secret``, and an index over ``key_id`` and the primary key.
    That is ``user_id``, with one secret for each account; with several, also the ``further_key_columns``.

    Raises ``ValueError`` for another primary key: encrypting one secret of an account anew would overwrite its others.
    """

    model: Any
    purpose: str
    further_key_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.model.__table__.primary_key.columns.keys() != ["user_id", *self.further_key_columns]:
            raise ValueError("A table of secrets needs user_id, and the further_key_columns, as its primary key.")

    @property
    def key(self) -> list[Any]:
        """The columns of the primary key."""
        return [getattr(self.model, name) for name in ("user_id", *self.further_key_columns)]


encrypted_tables: Registry[EncryptedTable] = Registry(
    "table of secrets", r"[a-z][a-z_]{0,62}", "use the name of the table."
)
"""The tables whose keys are kept, and whose secrets ``flask keys reencrypt`` encrypts anew."""


def needed_key_ids() -> list[str]:
    """Return the ids of the keys with which rows are encrypted, in order.

    It looks into the index once for each key, and not at each row: PostgreSQL's DISTINCT would read all of them.
    """
    rows = [read_one(_needed(table.model)) for table in encrypted_tables.values()]
    return sorted({key_id for row in rows for key_id in (row and row.key_ids) or ()})


def missing_key_ids(keys: EncryptionKeys | None) -> list[str]:
    """Return the ids of the keys that rows need and that are not among ``keys``."""
    return [key_id for key_id in needed_key_ids() if keys is None or key_id not in keys]


def missing_keys_problem(keys: EncryptionKeys | None) -> HealthProblem | None:
    """Return what is wrong if rows need keys that are not among ``keys``: their owners could not log in."""
    missing = missing_key_ids(keys)
    if not missing:
        return None
    state = "lacks" if keys else "is not set, and so lacks"
    sentence = f"AUTHAPP_ENCRYPTION_KEYS {state} {', '.join(missing)}, with which secrets are encrypted."
    return HealthProblem("Some second factors cannot be checked.", sentence)


@cache
def _needed(model: Any) -> Select[Any]:
    first = select(func.min(model.key_id).label("key_id")).cte("needed", recursive=True)
    later = aliased(model)
    following = select(func.min(later.key_id)).where(later.key_id > first.c.key_id).scalar_subquery()
    needed = first.union_all(select(following).where(first.c.key_id.is_not(None)))
    return select(func.array_agg(needed.c.key_id).label("key_ids")).where(needed.c.key_id.is_not(None))
