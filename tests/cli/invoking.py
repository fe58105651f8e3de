"""Commands run in this process, inside the test's transaction."""

import json
from typing import Any

import click
from click.testing import CliRunner, Result
from flask import Flask

from authapp.cli.keys import keys
from authapp.cli.tokens import tokens
from authapp.cli.users import users


def flask_users(app: Flask, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return invoke(app, users, *arguments, stdin=stdin)


def flask_tokens(app: Flask, *arguments: str) -> Result:
    return invoke(app, tokens, *arguments)


def flask_keys(*arguments: str) -> Result:
    """Run ``flask keys`` without an application."""
    return CliRunner().invoke(keys, arguments)


def invoke(app: Flask, group: click.Group, *arguments: str, stdin: str | bytes | None = None) -> Result:
    result = app.test_cli_runner().invoke(group, arguments, input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeeded(result: Result) -> str:
    """Return what the command said, after checking that all went well."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def data(result: Result) -> Any:
    return json.loads(succeeded(result))


def refused(result: Result, *words: str) -> None:
    """Check that the command said one line on stderr and nothing else, and failed."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")
    assert [word for word in words if word not in result.stderr] == [], result.stderr


def misused(result: Result) -> None:
    """Check that the command explained its usage."""
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("Usage: ")
