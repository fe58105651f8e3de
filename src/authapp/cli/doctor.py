"""``flask doctor``: is this deployment well?"""

from dataclasses import asdict

import click
from flask import current_app
from flask.cli import ScriptInfo

from authapp.cli.commands import json_option, print_json
from authapp.config import SettingsError
from authapp.domain import UseCases
from authapp.domain.checkup import Finding, Level


@click.command("doctor")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check settings, keys, clocks, migrations, proxies, hashing and tables, and say what to do.

    Each line is ok, warn or fail. The exit status is 1 when one of them is fail.
    """
    findings = _findings(ctx)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.level:4}  {finding.subject}: {finding.sentence}")
            if finding.advice:
                click.echo(f"      -> {finding.advice}")
    if any(finding.level is Level.FAIL for finding in findings):
        ctx.exit(1)


def _findings(ctx: click.Context) -> list[Finding]:
    try:
        # Loaded here, for an application that cannot be made is a finding too.
        app = ctx.ensure_object(ScriptInfo).load_app()
    except SettingsError as error:
        advice = "docs/configuration.md describes every setting."
        return [Finding(Level.FAIL, "settings", problem, advice) for problem in error.problems]
    with app.app_context():
        return list(UseCases.of(current_app).checkup.findings())
