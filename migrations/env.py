"""How Alembic runs authapp's own migrations."""

from authapp.cli.migrations import run_package_migrations

<<<<<<< HEAD
run_package_migrations()
=======
from alembic import context
from sqlalchemy import text

from authapp.database.migrations import PACKAGE
from authapp.database.session import db
from authapp.models import TABLES

LOCK = 0x61757468
"""The advisory lock that an upgrade holds: if several nodes start at once, one migrates and the others wait."""


def is_ours(_object: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Return whether a table is authapp's. Other tables belong to the project that uses it."""
    return type_ != "table" or name in TABLES


def offline() -> None:
    """Print the statements, so that an operator can run them."""
    context.configure(
        url=str(db.engine.url), target_metadata=db.metadata, literal_binds=True, version_table=PACKAGE.version_table
    )
    with context.begin_transaction():
        context.run_migrations()


def online() -> None:
    """Run all statements in one transaction."""
    with db.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            include_object=is_ours,
            version_table=PACKAGE.version_table,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


if context.is_offline_mode():
    offline()
else:
    online()
>>>>>>> 384cb0abba933da9e59253df03bcfb1f9727163f
