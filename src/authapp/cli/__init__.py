"""The ``flask`` commands of operators: arguments in, one domain call, words out."""

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
    """Give ``app`` the commands."""
    for command in COMMANDS:
        app.cli.add_command(command)


def is_looking_for_commands() -> bool:
    """Tell whether the ``flask`` command loads the application to see which commands it has."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def application_without_settings(import_name: str, error: SettingsError) -> Flask:
    """Return an application that has the commands and no route: its settings cannot be used.

    Commands that need no settings work in it; the others end with ``error``.
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
