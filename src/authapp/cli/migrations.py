"""``flask db``: Flask-Migrate's commands, for authapp's migrations and those of a project that uses authapp.

A project keeps its migrations in the folder ``migrations`` of its working directory, with a version table of their
own. The commands see the project's tables alone; ``flask db upgrade`` runs authapp's migrations first. Without such a
folder the commands concern authapp's migrations.
"""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
import flask_migrate
from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from flask import Flask, g
from flask.cli import with_appcontext
from flask_migrate.cli import db as flask_migrate_commands
from sqlalchemy import Connection, event, func, select, text

from authapp.cli.commands import Commands
from authapp.database.migrations import PACKAGE, PROJECT_FOLDER, PROJECT_VERSION_TABLE, MigrationFolder, project_folder
from authapp.database.session import db
from authapp.models import TABLES

UPGRADE_LOCK = 0x61757468
"""The advisory lock of an upgrade: of several nodes that start at once, one migrates and the others wait."""

_POLL_SECONDS = 0.2
_WRITING_COMMANDS = ("migrate", "revision", "merge", "edit")
_PROJECT_ENV = '''"""How Alembic runs the migrations of this project; `flask db upgrade` runs those of authapp first."""

from authapp.cli.migrations import run_project_migrations

run_project_migrations()
'''


class MigrateProject(flask_migrate.Migrate):  # type: ignore[misc]  # it is not typed
    """Flask-Migrate, for the project's folder of migrations where there is one, and for authapp's elsewhere."""

    def get_config(self, directory: str | None = None, x_arg: Any = None, opts: Any = None) -> Config:
        """Return Alembic's configuration for ``directory``, or for the folder that the working directory has."""
        config: Config = super().get_config(directory or (project_folder() or PACKAGE).path, x_arg, opts)
        return config


def init_app(app: Flask) -> list[MigrationFolder]:
    """Give ``app`` the ``flask db`` commands, and return the folders of migrations that its database must be at."""
    # For an env.py that `flask db init` of Flask-Migrate wrote, before the project used authapp.
    MigrateProject(
        render_as_batch=False, version_table=PROJECT_VERSION_TABLE, include_object=is_project_object
    ).init_app(app, db)
    app.cli.add_command(_commands())
    project = project_folder()
    return [PACKAGE, project] if project else [PACKAGE]


def upgrade() -> None:
    """Run authapp's migrations, and then those of the project; in an application context.

    Waits while another process does the same. Raises ``sqlalchemy.exc.SQLAlchemyError`` and ``CommandError``.
    """
    with _without_time_limits(), _one_at_a_time():
        upgrade_package()
        if project_folder():
            flask_migrate.upgrade()
    db.engine.dispose()  # no request may get a connection without limits


def upgrade_package(*, sql: bool = False) -> None:
    """Upgrade authapp's own tables to the newest revision or, with ``sql``, print the SQL that does it.

    It must run in an application context.
    """
    config = Config(str(PACKAGE.path / "alembic.ini"))
    config.set_main_option("script_location", str(PACKAGE.path).replace("%", "%%"))
    command.upgrade(config, "head", sql=sql)


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
    options = {"target_metadata": db.metadata, "process_revision_directives": _skip_when_empty, **options}
    if context.is_offline_mode():
        context.configure(url=db.engine.url.render_as_string(), literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    with db.engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()


def _skip_when_empty(migration: Any, _revision: Any, directives: list[Any]) -> None:
    if getattr(migration.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        click.echo("No changes in the tables.")


def _commands() -> click.Group:
    """Return Flask-Migrate's group of commands, with four of them changed; its own belongs to every application."""
    group = Commands(
        "db",
        help="Migrate the database: authapp's tables and those of the project.",
        callback=_start,
        params=flask_migrate_commands.params,
        commands=dict(flask_migrate_commands.commands),
    )
    _change(group, "init", _init)
    _change(group, "upgrade", _upgrade)
    for name in _WRITING_COMMANDS:
        _change(group, name, _write)
    return group


def _change(group: click.Group, name: str, callback: Callable[..., None]) -> None:
    changed = copy.copy(group.commands[name])
    changed.callback = with_appcontext(partial(callback, changed.callback))
    group.commands[name] = changed


@with_appcontext
def _start(**options: Any) -> None:
    flask_migrate_commands.callback(**options)
    click.get_current_context().with_resource(_without_time_limits())


def _init(original: Callable[..., None], *, directory: str | None, template: str | None, **options: Any) -> None:
    original(directory=directory, template=template, **options)
    if template is None and not options["multidb"]:
        (Path(directory or g.directory or PROJECT_FOLDER) / "env.py").write_text(_PROJECT_ENV)


def _write(original: Callable[..., None], *, directory: str | None, **options: Any) -> None:
    if not _is_projects(directory) and not _is_checkout():
        raise click.ClickException("This project has no migrations of its own yet: run `flask db init` first.")
    original(directory=directory, **options)


def _upgrade(original: Callable[..., None], *, sql: bool, directory: str | None, **options: Any) -> None:
    with nullcontext() if sql else _one_at_a_time():
        if _is_projects(directory):
            try:
                upgrade_package(sql=sql)
            except CommandError as error:
                raise click.ClickException(f"authapp's own migrations: {error}") from None
        original(sql=sql, directory=directory, **options)


def _is_projects(directory: str | None) -> bool:
    """Tell whether a command is about a project's migrations: those it is given, or those in the working directory."""
    return project_folder(directory or g.directory or PROJECT_FOLDER) is not None


def _is_checkout() -> bool:
    """Tell whether the working directory is authapp's checkout, where its own migrations are written."""
    folder = Path(PROJECT_FOLDER)
    return folder.is_dir() and folder.samefile(PACKAGE.path)


@contextmanager
def _without_time_limits() -> Iterator[None]:
    """Let migrations take their time: the limits on statements are for requests."""
    engine = db.engine
    event.listen(engine, "engine_connect", _lift_time_limits)
    try:
        yield
    finally:
        event.remove(engine, "engine_connect", _lift_time_limits)


def _lift_time_limits(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.answer_timeout = None
    connection.execute(text("SET application_name = 'authapp migration'"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
    connection.execute(text("SET lock_timeout = '30s'"))
    connection.commit()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for the upgrade of another process to end, however long it takes, and keep others out meanwhile.

    The lock is asked for again and again: a process that waits inside a statement has a snapshot, and a ``CREATE INDEX
    CONCURRENTLY`` of the other process would wait for that in turn. It is a lock of the transaction, for a pooler may
    lend the session's connection to others.
    """
    with db.engine.connect() as connection:
        connection.detach()  # the pool may have room for one, and the migrations need it
        announced = False
        while not connection.scalar(select(func.pg_try_advisory_xact_lock(UPGRADE_LOCK))):
            connection.rollback()
            if not announced:
                click.echo("Waiting for another process, which migrates this database.", err=True)
            announced = True
            time.sleep(_POLL_SECONDS)
        yield
