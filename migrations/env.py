"""How Alembic runs here: on the application's database, one upgrade at a time."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import text

LOCK = 0x61757468
"""The advisory lock that an upgrade holds: of several nodes that start at once, one migrates and the others wait."""

database = current_app.extensions["migrate"].db


def ours(_object: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave tables alone that this application does not know: they are their owner's."""
    return type_ != "table" or name in database.metadata.tables


def offline() -> None:
    """Print the statements, for an operator who runs them."""
    context.configure(url=str(database.engine.url), target_metadata=database.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def online() -> None:
    """Run the statements, all in one transaction."""
    with database.engine.connect() as connection:
        # A migration may take its time; the deadlines of requests are not for it.
        connection.connection.driver_connection.answer_timeout = None
        connection.execute(text("SET application_name = 'authapp migration'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(connection=connection, target_metadata=database.metadata, include_object=ours)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


if context.is_offline_mode():
    offline()
else:
    online()
