"""``flask keys``: the keys that sign tokens. Making and listing them needs no settings, for they are among these."""

from pathlib import Path

import click

from authapp import clock
from authapp.cli.commands import Commands, json_option, print_json, services
from authapp.context import OPERATOR
from authapp.domain.audit import EventType
from authapp.security import key_rotation
from authapp.security.key_files import replace_private, write_private
from authapp.security.key_generation import GENERATORS
from authapp.security.key_rotation import KeyRole
from authapp.security.keys import InvalidKey, KeyRing

keys = Commands("keys", help="Make and rotate the keys that sign tokens.")

RELOAD_MARGIN = 3_600
"""How long, in seconds, servers may go on signing with the old key until they are reloaded."""

alg_option = click.option("--alg", type=click.Choice(list(GENERATORS)), default="ES256", show_default=True)
file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="AUTHAPP_JWT_KEYS_FILE",
    required=True,
    help="The file with the JWK Set; AUTHAPP_JWT_KEYS_FILE unless given.",
)


@keys.command("generate", with_appcontext=False)
@alg_option
@click.option("--out", type=click.Path(path_type=Path), help="Write a new file that only its owner can read.")
def generate(alg: str, out: Path | None) -> None:
    """Make a private JWK Set with one new key, for AUTHAPP_JWT_KEYS or AUTHAPP_JWT_KEYS_FILE."""
    ring = KeyRing([key_rotation.new_key(alg, _now())])
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


@keys.command("list", with_appcontext=False)
@file_option
@json_option
def list_(path: Path, as_json: bool) -> None:
    """List the keys of the ring, and what each is for."""
    ring, now = _read(path), _now()
    rows = [
        {
            "kid": key.kid,
            "alg": key.alg,
            "role": str(key_rotation.role_of(key, ring, now)),
            "created_at": clock.rfc3339(clock.from_timestamp(key.jwk.get("iat"))),
            "needed_until": clock.rfc3339(clock.from_timestamp(key.jwk.get("exp"))),
        }
        for key in ring
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        until = f"  needed until {row['needed_until']}" if row["needed_until"] else ""
        click.echo(f"{row['kid']}  {row['alg']:6} {row['role']:8}{until}")


@keys.command("rotate")
@alg_option
@file_option
def rotate(alg: str, path: Path) -> None:
    """Let the standby key sign, and publish the next one.

    The first time there is no standby yet: it is made, and signs from the next rotation on. Reload the servers after
    each step (`kill -HUP`), and let five minutes pass before the next, so that every cache has seen the new key.
    """
    ring, now = _read(path), _now()
    if any(key_rotation.role_of(key, ring, now) is KeyRole.STANDBY for key in ring):
        rules = services().tokens.rules
        ring = key_rotation.rotated(ring, now, rules.refresh_ttl + rules.leeway + RELOAD_MARGIN)
        words = f"{ring.signing.kid} signs after the next reload."
    else:
        words = "There was no standby key: reload the servers, and rotate again in five minutes."
    ring = key_rotation.with_standby(ring, alg, now)
    standby = list(ring)[-1].kid
    with services().audit.recorded(EventType.KEY_ROTATED, context=OPERATOR, signs=ring.signing.kid, standby=standby):
        _write(path, ring)
    click.echo(words)
    click.echo(f"{standby} is the standby key.")


@keys.command("retire")
@click.argument("kid", required=False)
@file_option
@click.option("--force", is_flag=True, help="Also while tokens that the key signed may be alive: they die with it.")
def retire(kid: str | None, path: Path, force: bool) -> None:
    """Remove the key KID, or all keys that no live token can need any more.

    It needs the settings and the database, as a rotation does: it is noted in the audit trail, or it is not done.
    """
    ring, now = _read(path), _now()
    roles = {key.kid: key_rotation.role_of(key, ring, now) for key in ring}
    expired = [each for each, role in roles.items() if role is KeyRole.EXPIRED]
    if not kid and not expired:
        click.echo("No key has expired.")
        return
    if kid and roles.get(kid) is KeyRole.VERIFIES and not force:
        raise click.ClickException(
            "Tokens that this key signed may be alive, and would die with it: --force if so be it."
        )
    retired = [kid] if kid else expired
    for each in retired:
        try:
            ring = key_rotation.without(ring, each)
        except InvalidKey as error:
            raise click.ClickException(f"{each} is not retired: {error}") from None
    forced = any(roles[each] is KeyRole.VERIFIES for each in retired)
    with services().audit.recorded(EventType.KEY_RETIRED, context=OPERATOR, keys=retired, forced=forced):
        _write(path, ring)
    for each in retired:
        click.echo(f"Retired {each}.")


def _read(path: Path) -> KeyRing:
    try:
        return KeyRing.from_json(path.read_text())
    except (InvalidKey, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} {error}") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from None


def _write(path: Path, ring: KeyRing) -> None:
    try:
        replace_private(path, ring.to_json())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None


def _now() -> int:
    return int(clock.now().timestamp())
