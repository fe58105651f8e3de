"""For the ``env.py`` of a folder of migrations: Alembic's work on authapp's tables, or on those of a project."""

from collections.abc import Callable, Iterator
from typing import Any

import click
from alembic import context

from authapp.database.migrations import PACKAGE, PROJECT_VERSION_TABLE
from authapp.database.session import db
from authapp.database.upgrades import TRIES, give_way, retry_for_locks
from authapp.models import TABLES


def run_package_migrations() -> None:
    """Run what Alembic was asked for on authapp's tables; for ``migrations/env.py``."""
    _run_migrations(version_table=PACKAGE.version_table, include_object=is_package_object)


def run_project_migrations(**options: Any) -> None:
    """Run what Alembic was asked for on the project's tables; for its ``migrations/env.py``.

    ``options`` are those of Alembic's ``context.configure()``.
    """
    _run_migrations(**{"version_table": PROJECT_VERSION_TABLE, "include_object": is_project_object, **options})


def is_package_object(item: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Tell whether Alembic is to compare a table: those of authapp, and what belongs to them."""
    return type_ != "table" or (name in TABLES and item.schema is None)


def is_project_object(item: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Tell whether Alembic is to compare a table: all but those of authapp."""
    return type_ != "table" or item.schema is not None or name not in {*TABLES, PACKAGE.version_table}


def _run_migrations(**options: Any) -> None:
    options = {
        "target_metadata": db.metadata,
        "process_revision_directives": _skip_when_empty,
        # In one transaction, the rows that one migration has changed would stay locked while the next waits for a lock
        # on their table: a deadlock with an old node that waits for one of those rows.
        "transaction_per_migration": True,
        **options,
    }
    if context.is_offline_mode():
        context.configure(url=db.engine.url.render_as_string(), literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    steps = _Steps()

    def run() -> None:
        with db.engine.connect() as connection:
            give_way(connection)
            context.configure(connection=connection, **options)
            context.configure(connection=connection, fn=steps.left_of(context.get_context().opts["fn"]), **options)
            with context.begin_transaction():
                context.run_migrations()

    retry_for_locks(run, _say_that_it_waits)


class _Steps:
    """The migrations that a command has to run.

    Alembic is asked for them once: to a second try, ``downgrade -2`` would mean two more than were done.
    """

    def __init__(self) -> None:
        self._left: list[Any] | None = None

    def left_of(self, steps_of: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        """Return ``steps_of``, Alembic's function, without the steps that are committed."""

        def left(heads: Any, migrating: Any) -> Iterator[Any]:
            if self._left is None:
                self._left = list(steps_of(heads, migrating))
            while self._left:
                yield self._left[0]
                self._left.pop(0)

        return left


def _say_that_it_waits() -> None:
    click.echo(
        f"Another transaction, such as a backup, uses a table that is to be changed: trying again, {TRIES - 1} times.",
        err=True,
    )


def _skip_when_empty(migration: Any, _revision: Any, directives: list[Any]) -> None:
    if getattr(migration.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        click.echo("No changes in the tables.")
