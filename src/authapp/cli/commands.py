"""Shared by the commands: one-line errors, passwords without echo, lengths of time, JSON output."""

import json
import re
import sys
from collections.abc import Callable, Collection
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, TypeVar
from uuid import UUID

import click
from flask import current_app
from flask.cli import AppGroup
from flask.logging import default_handler
from sqlalchemy.exc import SQLAlchemyError

from authapp import logs
from authapp.database.errors import sqlstate, was_given_up
from authapp.database.reasons import reason
from authapp.domain.services import Services
from authapp.domain.users.rows import UserRef
from authapp.errors import Refusal

SETTINGS_ERROR = "authapp.settings_error"
"""The key in ``app.extensions`` where an application without usable settings keeps its ``SettingsError``."""

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of prompting for it."
)


class Commands(AppGroup):
    """A group of commands that print an error as one line on stderr and exit with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises ``click.ClickException`` for a refusal, or if the database cannot be used."""
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            raise click.ClickException(str(refusal)) from None
        except SQLAlchemyError as error:
            if not (why := reason(error)):
                raise
            if was_given_up(error):
                raise click.ClickException(
                    f"PostgreSQL gave up (SQLSTATE {sqlstate(error)}): the statement took too long, or waited for"
                    " others. This statement was undone; what the command had done before it stays. Run it again."
                ) from None
            hint = "" if sqlstate(error) else " Check DATABASE_URL, and that PostgreSQL runs."
            raise click.ClickException(f"The database cannot be asked: {why}.{hint}") from None
        except UnicodeEncodeError:
            raise click.ClickException("An argument is not valid UTF-8.") from None


class Duration(click.ParamType[timedelta]):
    """A length of time, such as ``90d``, ``12h`` or ``30m``. Zero is refused: it would prune a whole trail."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length of time."""
        match = re.fullmatch(r"(\d{1,5})([dhm])", str(value))
        if not match or not int(match[1]):
            self.fail("must be a number of days, hours or minutes, such as 90d, 12h or 30m.", param, ctx)
        return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[match[2]]: int(match[1])})


class Registered(click.ParamType[str]):
    """A name that is registered by the time when the command runs: one of yours, too."""

    def __init__(self, name: str, registry: Collection[str]) -> None:
        """Take the ``name`` of such a value for the help."""
        self.name, self._registry = name, registry

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if value not in self._registry:
            self.fail(f"{value!r} is not one of {', '.join(self._registry)}.", param, ctx)
        return str(value)


def user_ref(text: str) -> UserRef:
    """Return ``text`` as an id if it is one with hyphens, and as a name otherwise."""
    # Without hyphens, an id is also a valid username: of another account than the one with that id.
    is_id = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)
    return UUID(text) if is_id else text


def read_password(*, from_stdin: bool) -> str:
    """Prompt twice for the password and return it; or return standard input without one trailing newline."""
    if not from_stdin:
        prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return prompted
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise click.ClickException("The password on standard input is not UTF-8.") from None
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def print_json(data: Any) -> None:
    """Print ``data`` as JSON."""
    click.echo(json.dumps(data, indent=2))


def log_like_server() -> None:
    """Log as the server does from now on, one JSON object a line: for a command that runs on as a service.

    Where python-json-logger is not installed (the extra ``server``), the lines stay as Flask writes them.
    """
    level = services().settings.log_level
    if find_spec("pythonjsonlogger"):
        current_app.logger.removeHandler(default_handler)
        logs.install(level)


def services() -> Services:
    """Return the services of the application; if its settings cannot be used, print why and exit with status 1."""
    if error := current_app.extensions.get(SETTINGS_ERROR):
        # Without the "Error: " of click: the message begins as that of a server which cannot start.
        click.echo(str(error), err=True)
        sys.exit(1)
    return Services.of(current_app)
