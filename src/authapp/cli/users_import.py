"""``flask users import``: accounts of another system."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from authapp.cli.commands import Registered, services
from authapp.context import OPERATOR
from authapp.domain.imports.formats import import_formats
from authapp.domain.imports.imports import ImportOptions, Line

FROM_HELP = f"Whose fields they are: {', '.join(import_formats)}, or one of yours."

MAX_LINE = 65_536
"""The longest line, in bytes."""


@click.argument("file", type=click.File("rb"))
@click.option("--from", "system", type=Registered("system", import_formats), default="authapp", help=FROM_HELP)
@click.option(
    "--hash-config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSON of --from firebase."
)
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    help="Name a line whose account is there already as a fault, the default; or skip it.",
)
@click.option("--after", type=click.IntRange(0), default=0, metavar="LINE", help="Begin after this line.")
@click.option("--dry-run", is_flag=True, help="Check each line, and store nothing.")
def import_(file: BinaryIO, system: str, hash_config: Path | None, on_conflict: str, after: int, dry_run: bool) -> None:
    """Import the accounts in FILE, one JSON object a line; ``-`` is standard input.

    Each line with a fault is named on stderr, and the others are imported; the exit status is then 1.
    """
    if (import_formats[system].check_hash_config is None) != (hash_config is None):
        raise click.UsageError("Give --hash-config with a system whose hashes have parameters, such as firebase.")
    options = ImportOptions(
        system=system,
        hash_config=_read_config(hash_config),
        after=after,
        skip_taken=on_conflict == "skip",
        dry_run=dry_run,
    )
    try:
        batches = services().imports.import_from(_lines(file), options, OPERATOR)
    except ValueError as error:
        raise click.ClickException(f"{hash_config}: {error}") from None
    imported = skipped = faults = 0
    last_line = after
    try:
        for batch in batches:
            for fault in batch.faults:
                click.echo(f"line {fault.line}: {fault.reason}", err=True)
            imported, skipped = imported + batch.imported, skipped + batch.skipped
            faults, last_line = faults + len(batch.faults), batch.last_line
    except BaseException:
        click.echo(f"Stopped. Go on with: --after {last_line}", err=True)
        raise
    click.echo(
        f"{'Would import' if dry_run else 'Imported'} {imported} account(s), skipped {skipped}, to line {last_line}."
    )
    if faults:
        raise click.ClickException(f"{faults} line(s) have faults, and were not imported.")


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        config = json.loads(path.read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise click.ClickException(f"{path} is not a JSON object.")
    # As `firebase auth:export` has it, or the console, within "hash_config".
    inner: dict[str, Any] = config.get("hash_config", config)
    return inner


def _lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines that are not blank, without reading a long one into memory."""
    number = 0
    while content := file.readline(MAX_LINE):
        number += 1
        if is_long := len(content) == MAX_LINE and not content.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
        if is_long:
            yield number, None
        elif content.strip():
            yield number, content
