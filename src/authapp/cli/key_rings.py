"""Key rings in files, for the commands that make and change them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import click

from authapp import clock
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.key_files import replace_private, write_private
from authapp.security.keys import InvalidKey, KeyRing

Ring = TypeVar("Ring", KeyRing, EncryptionKeys)

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this new file, which only its owner can read, instead of printing.",
)


def file_option(variable: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option ``--file``: a ring that is there, by default the one that the variable names."""
    return click.option(
        "--file",
        "path",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        envvar=variable,
        required=True,
        help=f"The file with the JWK Set. The default is {variable}.",
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


def retire(
    path: Path,
    ring: Ring,
    kids: Sequence[str],
    without: Callable[[Ring, str], Ring],
    recorded: AbstractContextManager[object],
) -> None:
    """Replace the ring in a file by one ``without`` these keys, while that is ``recorded``, and print each key."""
    for kid in kids:
        try:
            ring = without(ring, kid)
        except InvalidKey as error:
            raise click.ClickException(f"{kid} is not retired: {error}") from None
    with recorded:
        write(path, ring.to_json())
    for kid in kids:
        click.echo(f"Retired {kid}.")


def now() -> int:
    """Return the current time in seconds since the epoch."""
    return int(clock.now().timestamp())
