"""``flask db``: Flask-Migrate's commands, for authapp's migrations and those of a project that uses authapp.

A project keeps its migrations in the folder ``migrations`` of its working directory, with a version table of their
own. The commands see the project's tables alone; ``flask db upgrade`` runs authapp's migrations first. Without such a
folder the commands concern authapp's migrations.
"""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
import flask_migrate
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from flask import Flask, g
from flask.cli import with_appcontext
from flask_migrate.cli import db as flask_migrate_commands

from authapp.cli.alembic_env import is_project_object
from authapp.cli.commands import Commands
from authapp.database.migrations import PACKAGE, PROJECT_FOLDER, PROJECT_VERSION_TABLE, MigrationFolder, project_folder
from authapp.database.session import db
from authapp.database.upgrades import one_at_a_time, without_time_limits

_WRITING_COMMANDS = ("migrate", "revision", "merge", "edit")
_PROJECT_ENV = '''"""How Alembic runs the migrations of this project; `flask db upgrade` runs those of authapp first."""

from authapp import run_project_migrations

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
    with without_time_limits(), one_at_a_time(_say_that_it_waits):
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


def _commands() -> click.Group:
    """Return a copy of Flask-Migrate's group, which all applications share, with some commands replaced."""
    group = Commands(
        "db",
        help="Migrate the database: authapp's tables and those of the project.",
        callback=_run_group,
        params=flask_migrate_commands.params,
        commands=dict(flask_migrate_commands.commands),
    )
    _replace(group, "init", _init)
    _replace(group, "upgrade", _upgrade)
    for name in _WRITING_COMMANDS:
        _replace(group, name, _write_migration)
    return group


def _replace(group: click.Group, name: str, callback: Callable[..., None]) -> None:
    changed = copy.copy(group.commands[name])
    changed.callback = with_appcontext(partial(callback, changed.callback))
    group.commands[name] = changed


@with_appcontext
def _run_group(**options: Any) -> None:
    flask_migrate_commands.callback(**options)
    click.get_current_context().with_resource(without_time_limits())


def _init(original: Callable[..., None], *, directory: str | None, template: str | None, **options: Any) -> None:
    original(directory=directory, template=template, **options)
    if template is None and not options["multidb"]:
        (Path(directory or g.directory or PROJECT_FOLDER) / "env.py").write_text(_PROJECT_ENV)


def _write_migration(original: Callable[..., None], *, directory: str | None, **options: Any) -> None:
    if not _is_for_project(directory) and not _is_checkout():
        raise click.ClickException("This project has no migrations of its own yet: run `flask db init` first.")
    original(directory=directory, **options)


def _upgrade(original: Callable[..., None], *, sql: bool, directory: str | None, **options: Any) -> None:
    with nullcontext() if sql else one_at_a_time(_say_that_it_waits):
        if _is_for_project(directory):
            try:
                upgrade_package(sql=sql)
            except CommandError as error:
                raise click.ClickException(f"authapp's own migrations: {error}") from None
        original(sql=sql, directory=directory, **options)


def _is_for_project(directory: str | None) -> bool:
    """Tell whether a command is about a project's migrations: those it is given, or those in the working directory."""
    return project_folder(directory or g.directory or PROJECT_FOLDER) is not None


def _is_checkout() -> bool:
    """Tell whether the working directory is authapp's checkout, where its own migrations are written."""
    folder = Path(PROJECT_FOLDER)
    return folder.is_dir() and folder.samefile(PACKAGE.path)


def _say_that_it_waits() -> None:
    click.echo("Waiting for another process, which migrates this database.", err=True)
