"""The lock of an account's row, which comes before every change of what belongs to the account."""

from uuid import UUID

from sqlalchemy import ColumnElement, select

from authapp.database.session import db
from authapp.models import User


def lock_account_row(user_id: UUID, *conditions: ColumnElement[bool]) -> bool:
    """Lock the row of an account within the open transaction, without reading it.

    Returns whether there is such an account, which meets ``conditions``. ``users.rows.lock_account`` returns it.
    """
    # The account first, like every other change of it: two in another order would wait for each other for ever.
    account = select(User.id).where(User.id == user_id, *conditions)
    return db.session.scalar(account.with_for_update(key_share=True)) is not None
