"""``flask users export``: accounts in the form of an import."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any, TextIO

import click

from authapp.cli.commands import services
from authapp.context import OPERATOR
from authapp.domain.account_exports import ExportOptions


@click.argument("name", metavar="[USERNAME]", required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new file; one that exists is refused.")
@click.option("--with-hashes", is_flag=True, help="Write the password hashes, too.")
@click.option("--with-secrets", is_flag=True, help="Write the secrets of authenticator apps, too, not encrypted.")
def export(name: str | None, out: Path, with_hashes: bool, with_secrets: bool) -> None:
    """Write an account, or all of them, to a file that only its owner can read, one JSON object a line.

    Service accounts are left out: their API keys cannot be moved. The export is recorded in the audit trail.
    """
    exports, options = services().account_exports, ExportOptions(with_hashes=with_hashes, with_secrets=with_secrets)
    with _new_file(out) as file:

        def write(fields: dict[str, Any]) -> None:
            file.write(f"{json.dumps(fields)}\n")

        if name is None:
            counts = exports.export_all(write, options, OPERATOR)
        else:
            counts = exports.export_account(name, write, options, OPERATOR)
    click.echo(f"Exported {counts.exported} account(s) to {out}, and left out {counts.left_out} service account(s).")


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Yield a file of the owner alone, which gets its name when it is whole; after a failure there is none."""
    try:
        _require_absent(path)
        descriptor, partial = mkstemp(prefix=f"{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be made: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        _require_absent(path)
        Path(partial).rename(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        Path(partial).unlink(missing_ok=True)


def _require_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
