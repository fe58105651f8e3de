"""``flask keys``: the keys that sign tokens. It needs no settings, for it makes one of them."""

from pathlib import Path

import click

from authapp.security.key_files import write_private
from authapp.security.key_generation import GENERATORS
from authapp.security.keys import Key, KeyRing

keys = click.Group("keys", help="Make the keys that sign tokens.")


@keys.command("generate")
@click.option("--alg", type=click.Choice(list(GENERATORS)), default="ES256", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write a new file that only its owner can read.")
def generate(alg: str, out: Path | None) -> None:
    """Make a private JWK Set with one new key, for AUTHAPP_JWT_KEYS or AUTHAPP_JWT_KEYS_FILE."""
    ring = KeyRing([Key.generate(alg)])
    if out is None:
        click.echo(ring.to_json())
        return
    try:
        write_private(out, ring.to_json())
    except FileExistsError:
        raise click.ClickException(f"{out} exists; it is not overwritten, for tokens may depend on it.") from None
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {out} with the key {ring.signing.kid}.", err=True)
