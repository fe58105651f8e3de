"""The one way to write: a transaction that commits once, or leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import scoped_session

from authapp.extensions import db


@contextmanager
def transaction() -> Iterator["scoped_session[Any]"]:
    """Open a transaction: it commits at the end of the block, and rolls back when the block raises."""
    try:
        yield db.session
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
