"""The ``flask`` commands for operators. Each parses its arguments, makes one domain call and prints the result."""

import click
from flask import Flask
from flask.cli import FlaskGroup

from authapp.cli import audit, doctor, keys, roles, tokens, users
from authapp.cli.commands import SETTINGS_ERROR, services
from authapp.config import SettingsError

COMMANDS: tuple[click.Command, ...] = (
    users.users,
    roles.roles,
    tokens.tokens,
    keys.keys,
    audit.audit,
    doctor.doctor,
)


def init_app(app: Flask) -> None:
    """Add the commands to ``app``."""
    for command in COMMANDS:
        app.cli.add_command(command)


def is_looking_for_commands() -> bool:
    """Return whether the ``flask`` command is loading the application only to list its commands."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def application_without_settings(import_name: str, error: SettingsError) -> Flask:
    """Return an application with the commands but no routes, for when the settings cannot be used.

    Commands that need no settings still work; the others exit with ``error``.
    """
    app = Flask(import_name, static_folder=None)
    app.extensions[SETTINGS_ERROR] = error
    init_app(app)
    app.cli.add_command(_db_without_settings)
    return app


@click.command("db", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def _db_without_settings() -> None:
    """Perform database migrations."""
    services()
