"""``flask db``: Flask-Migrate's commands, for authapp's migrations and those of a project that uses authapp.

A project keeps its own migrations in its folder ``migrations``, with a separate version table. ``flask db init``,
``migrate`` and ``check`` see only the project's tables. ``flask db upgrade`` runs authapp's migrations first.
"""

from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Engine

from authapp.database.migrations import PACKAGE, PROJECT_VERSION_TABLE, MigrationFolder
from authapp.database.session import db
from authapp.models import TABLES

UPGRADE_LOCK = 0x61757469
"""The advisory lock that is held while a project is migrated: one node migrates, and the others wait."""

_WRITING_COMMANDS = {"migrate", "revision", "merge", "edit"}


def init_app(app: Flask) -> list[MigrationFolder]:
    """Add the ``flask db`` commands to ``app``, and return the folders of migrations that its database needs."""
    project = Path("migrations").absolute()
    has_own = (project / "env.py").is_file() and not project.samefile(PACKAGE.path)
    is_starting = _running_command() == "init"
    folder = project if has_own or is_starting or _is_checkout(project) else PACKAGE.path
    migrate = Migrate(version_table=PROJECT_VERSION_TABLE, include_object=_is_projects) if has_own else Migrate()
    migrate.init_app(app, db, str(folder))
    migrate.configure(_prepare)
    return [PACKAGE, MigrationFolder(project, PROJECT_VERSION_TABLE)] if has_own else [PACKAGE]


def upgrade_package(*, sql: bool = False) -> None:
    """Upgrade authapp's own tables to the newest revision or, with ``sql``, print the SQL that does it.

    It must run in an application context.
    """
    config = Config(str(PACKAGE.path / "alembic.ini"))
    config.set_main_option("script_location", str(PACKAGE.path))
    command.upgrade(config, "head", sql=sql)


def _prepare(config: Config) -> Config:
    """Prepare the database and ``config`` before each command of Flask-Migrate, and return ``config``."""
    script_location = Path(config.get_main_option("script_location") or "")
    running = _running_command()
    is_package = script_location.is_dir() and script_location.samefile(PACKAGE.path)
    if is_package and not _is_checkout(script_location) and running in _WRITING_COMMANDS:
        raise CommandError("This project has no migrations of its own yet: run `flask db init` first.")
    if running == "init":
        return config
    _lift_time_limits(db.engine)
    if running == "upgrade" and not is_package:
        context = click.get_current_context()
        if not context.params.get("sql"):
            _lock(db.engine)
        upgrade_package(sql=bool(context.params.get("sql")))
    return config


def _running_command() -> str | None:
    """Return the name of the ``flask db`` command that is running, or ``None``."""
    context = click.get_current_context(silent=True)
    if context is None or context.parent is None or context.parent.info_name != "db":
        return None
    return context.info_name


def _is_checkout(folder: Path) -> bool:
    """Return whether ``folder`` is the ``migrations`` folder of the authapp checkout in the working directory."""
    return folder == Path("migrations").absolute() and folder.is_dir() and folder.samefile(PACKAGE.path)


def _is_projects(_object: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    return type_ != "table" or name not in {*TABLES, PACKAGE.version_table}


def _lift_time_limits(engine: Engine) -> None:
    """Turn off the time limits on statements, which are meant for requests; migrations may take longer."""

    def lift(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.answer_timeout = None
        connection.execute(text("SET application_name = 'authapp migration'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.commit()

    event.listen(engine, "engine_connect", lift)


def _lock(engine: Engine) -> None:
    connection = engine.connect()
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
    connection.commit()
    # The connection leaves the pool and stays open, so that the lock is held until this process ends.
    connection.detach()
    engine.dialect.authapp_upgrade_lock = connection  # type: ignore[attr-defined]
