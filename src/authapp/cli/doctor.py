"""``flask doctor``: check a deployment."""

from dataclasses import asdict

import click
from flask.cli import ScriptInfo

from authapp.cli.checks import CheckLevel, CheckResult, run_checks
from authapp.cli.commands import SETTINGS_ERROR, json_option, print_json, services
from authapp.config import SettingsError


@click.command("doctor")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check settings, keys, clocks, migrations, proxies, hashing, mail and tables.

    Each result is ok, warn or fail; for warn and fail a second line says what to do. The exit status is 1 if any
    result is fail.
    """
    results = _results(ctx)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            click.echo(f"{result.level:4}  {result.subject}: {result.sentence}")
            if result.advice:
                click.echo(f"      -> {result.advice}")
    if any(result.level is CheckLevel.FAIL for result in results):
        ctx.exit(1)


def _results(ctx: click.Context) -> list[CheckResult]:
    # An application that cannot be created is reported as a result, not as a crash.
    try:
        app = ctx.ensure_object(ScriptInfo).load_app()
        error: SettingsError | None = app.extensions.get(SETTINGS_ERROR)
    except SettingsError as raised:
        error = raised
    if error is not None:
        advice = "docs/configuration.md describes every setting."
        return [CheckResult(CheckLevel.FAIL, "settings", problem, advice) for problem in error.problems]
    with app.app_context():
        return list(run_checks(services()))
