"""Key rings in files, for the commands that make and change them."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from authapp import clock
from authapp.security.key_files import replace_private, write_private
from authapp.security.keys import InvalidKey

Ring = TypeVar("Ring")

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this new file, which only its owner can read, instead of printing.",
)


def print_new(text: str, out: Path | None, *, kid: str, depends: str) -> None:
    """Print a new ring, or write it to the new file ``out``. ``depends`` is what may depend on a file that is there."""
    if out is None:
        click.echo(text)
        return
    try:
        write_private(out, text)
    except FileExistsError:
        raise click.ClickException(
            f"{out} exists; it is not overwritten, because {depends} may depend on it."
        ) from None
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {out} with the key {kid}.", err=True)


def read(path: Path, from_json: Callable[[str], Ring]) -> Ring:
    """Return the ring in a file."""
    try:
        return from_json(path.read_text())
    except (InvalidKey, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} {error}") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from None


def write(path: Path, text: str) -> None:
    """Replace the ring in a file."""
    try:
        replace_private(path, text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None


def now() -> int:
    """Return the current time in seconds since the epoch."""
    return int(clock.now().timestamp())
