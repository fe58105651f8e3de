"""``flask serve``: gunicorn, started once the settings are known to be usable."""

import os
import sys

import click

from authapp.cli.commands import services


@click.command("serve", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Check the settings, then become gunicorn with these arguments: --bind 0.0.0.0:8000 wsgi:app.

    gunicorn reads WEB_CONCURRENCY while it is imported, before any check of ours, and ends with a traceback if that is
    no number.
    """
    services()
    os.execve(sys.executable, [sys.executable, "-m", "gunicorn", *arguments], _without_empty_numbers())  # noqa: S606 - no shell


def _without_empty_numbers() -> dict[str, str]:
    # An empty variable counts as unset, but not for gunicorn.
    numbers = ("PORT", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if name not in numbers or value.strip()}
