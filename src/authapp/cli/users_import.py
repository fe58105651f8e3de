"""``flask users import``: accounts of another system."""

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

from authapp.cli.commands import Registered, services
from authapp.context import OPERATOR
from authapp.domain.failures import printable
from authapp.domain.imports.formats import import_formats
from authapp.domain.imports.imports import BatchRefused, ImportBatch, ImportedId, ImportOptions
from authapp.domain.imports.lines import Line
from authapp.security import strict_json

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
    help="What becomes of a line whose id or email address an account has: an error, the default, or nothing.",
)
@click.option("--after", type=click.IntRange(0), default=0, metavar="LINE", help="Begin after this line.")
@click.option("--dry-run", is_flag=True, help="Check each line, and store nothing.")
@click.option(
    "--ids-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the new ids to this file, with those of the other system where these cannot be kept.",
)
def import_(
    file: BinaryIO,
    system: str,
    hash_config: Path | None,
    on_conflict: str,
    after: int,
    dry_run: bool,
    ids_out: Path | None,
) -> None:
    """Import the accounts in FILE, one JSON object a line; ``-`` is standard input.

    Each line with an error is named on stderr, and the others are imported; the exit status is then 1.
    """
    if (import_formats[system].check_hash_config is None) != (hash_config is None):
        raise click.UsageError("Give --hash-config with a system whose hashes have parameters, such as firebase.")
    if dry_run and ids_out:
        raise click.UsageError("With --dry-run no account is stored, so there are no ids.")
    options = ImportOptions(
        system=system,
        hash_config=_read_config(hash_config),
        after=after,
        skip_existing=on_conflict == "skip",
        dry_run=dry_run,
    )
    try:
        batches = services().imports.import_from(_lines(file), options, OPERATOR)
    except ValueError as error:
        raise click.ClickException(f"{hash_config}: {error}") from None
    try:
        with _ids_file(ids_out) as ids:
            total = _total(batches, after, ids)
    except BatchRefused as error:
        raise click.ClickException(str(error)) from None
    done = "Would import" if dry_run else "Imported"
    click.echo(f"{done} {total.imported} account(s), skipped {total.skipped}, to line {total.last_line}.")
    if total.usernames_made:
        click.echo(f"Made the username of {total.usernames_made} of them from the address.")
    if total.errors:
        raise click.ClickException(f"{total.errors} line(s) have errors, and were not imported.")


@dataclass
class _Total:
    last_line: int
    imported: int = 0
    usernames_made: int = 0
    skipped: int = 0
    errors: int = 0


def _total(batches: Iterable[ImportBatch], after: int, ids: TextIO) -> _Total:
    """Import each batch, print its errors and write its ids; return what became of all of them."""
    total = _Total(after)
    try:
        for batch in batches:
            for error in batch.errors:
                click.echo(printable(f"line {error.line}: {error.reason}"), err=True)
            _write_ids(batch.ids, ids)
            total.last_line = batch.last_line
            total.imported += batch.imported
            total.usernames_made += batch.usernames_made
            total.skipped += batch.skipped
            total.errors += len(batch.errors)
    except BaseException:
        # Accounts behind this line may be stored already, without their ids in the file.
        click.echo(f"Stopped. Go on with: --after {total.last_line} --on-conflict skip", err=True)
        raise
    return total


@contextmanager
def _ids_file(path: Path | None) -> Iterator[TextIO]:
    """Yield what takes the ids: a file of the owner alone. An import that goes on after a stop adds to it."""
    path = path or Path(os.devnull)
    try:
        file = open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield file
    finally:
        with suppress(OSError):  # what was not written is reported by then
            file.close()


def _write_ids(ids: Iterable[ImportedId], file: TextIO) -> None:
    try:
        file.writelines(f"{json.dumps({**asdict(each), 'id': str(each.id)})}\n" for each in ids)
        file.flush()
    except OSError as error:
        raise _unwritable(file.name, error) from None


def _unwritable(path: Path | str, error: OSError) -> click.ClickException:
    return click.ClickException(f"{path} cannot be written: {error.strerror}.")


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        config = strict_json.loads_object(path.read_bytes())
    except ValueError:
        raise click.ClickException(f"{path} is not a JSON object.") from None
    # As `firebase auth:export` has it, or the console, within "hash_config".
    inner: dict[str, Any] = config.get("hash_config", config)
    return inner


def _lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines that are not blank, without reading a long one into memory."""
    number = 0
    while content := file.readline(MAX_LINE):
        number += 1
        if number == 1:
            content = content.removeprefix(BOM_UTF8)
        if is_long := len(content) == MAX_LINE and not content.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
        if is_long:
            yield number, None
        elif content.strip():
            yield number, content
