"""The ``flask`` commands for operators. Each parses its arguments, makes one domain call and prints the result."""

import click
from flask import Flask
from flask.cli import AppGroup, FlaskGroup

from authapp.cli import api_keys, audit, doctor, keys, mail, roles, serve, tokens, users
from authapp.cli.commands import SETTINGS_ERROR, services
from authapp.config import SettingsError

COMMANDS: tuple[click.Command, ...] = (
    users.users,
    roles.roles,
    tokens.tokens,
    api_keys.api_keys,
    keys.keys,
    audit.audit,
    mail.mail,
    doctor.doctor,
    serve.serve,
)


def init_app(app: Flask) -> None:
    """Add the commands to ``app``."""
    for command in COMMANDS:
        app.cli.add_command(command)


def without_settings(app: Flask, error: SettingsError) -> None:
    """Let the commands that need no settings work on ``app``, and every other command end with ``error``.

    Only while the ``flask`` command looks for its commands. Otherwise raises ``error``: as a
    ``click.ClickException`` under ``flask run``, and as it is outside of the ``flask`` command.
    """
    context = click.get_current_context(silent=True)
    if context is None or not isinstance(context.find_root().command, FlaskGroup):
        raise error
    if not isinstance(context.command, FlaskGroup):
        raise click.ClickException(str(error)) from None
    # Flask has created the application to see which commands it has.
    app.extensions[SETTINGS_ERROR] = error
    app.cli = _CommandsWithoutSettings(app.cli.name, commands=app.cli.commands)


class _CommandsWithoutSettings(AppGroup):
    """The commands of an application without services.

    Those of ``COMMANDS`` call ``services()`` only when they need them. Every other command is replaced by one that
    calls ``services()`` and nothing else, which prints the error and exits.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None or command in COMMANDS:
            return command
        return click.Command(
            command.name,
            help=command.help,
            short_help=command.short_help,
            callback=services,
            params=[click.Argument(["arguments"], nargs=-1, expose_value=False, type=click.UNPROCESSED)],
            context_settings={"ignore_unknown_options": True},
            add_help_option=False,
        )
