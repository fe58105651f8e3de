"""Locking the account whose factors change."""

from uuid import UUID

from sqlalchemy import select

from authapp.database.session import db
from authapp.errors import ResourceNotFound
from authapp.models import User


def lock_account(user_id: UUID) -> None:
    """Lock the row of an account within the open transaction, as every change of it does, before rows of its own.

    Two transactions that lock in another order would wait for each other for ever. Raises ``ResourceNotFound`` if the
    account has been deleted.
    """
    if db.session.scalar(select(User.id).where(User.id == user_id).with_for_update(key_share=True)) is None:
        raise ResourceNotFound("The account has been deleted.")
