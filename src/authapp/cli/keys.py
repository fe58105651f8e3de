"""``flask keys``: the keys that sign tokens, and in the group ``encryption`` those that encrypt.

``generate`` and ``list`` work without settings, because the settings require the keys.
"""

from pathlib import Path

import click

from authapp import clock
from authapp.cli import key_rings
from authapp.cli.commands import Commands, json_option, print_json, services
from authapp.cli.encryption_keys import encryption, reencrypt
from authapp.cli.key_rings import out_option
from authapp.context import OPERATOR
from authapp.domain.audit import EventType
from authapp.security import key_rotation
from authapp.security.key_generation import GENERATORS
from authapp.security.key_rotation import KeyRole
from authapp.security.keys import KeyRing

keys = Commands("keys", help="Generate and rotate the keys that sign tokens, and those that encrypt.")
keys.add_command(encryption)
keys.command("reencrypt")(reencrypt)

RELOAD_MARGIN = 3_600
"""How long, in seconds, servers may continue to sign with the old key before they are reloaded."""

alg_option = click.option("--alg", type=click.Choice(list(GENERATORS)), default="ES256", show_default=True)
file_option = key_rings.file_option("AUTHAPP_JWT_KEYS_FILE")


@keys.command("generate", with_appcontext=False)
@alg_option
@out_option
def generate(alg: str, out: Path | None) -> None:
    """Generate a private JWK Set with one new key, for AUTHAPP_JWT_KEYS or AUTHAPP_JWT_KEYS_FILE."""
    ring = KeyRing([key_rotation.new_key(alg, key_rings.now())])
    key_rings.print_new(ring.to_json(), out, kid=ring.signing.kid, depends="tokens")


@keys.command("list", with_appcontext=False)
@file_option
@json_option
def list_(path: Path, as_json: bool) -> None:
    """List the keys in the ring, with the role of each."""
    ring, now = _read(path), key_rings.now()
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
    """Start to sign with the standby key, and add the next standby key.

    If there is no standby key yet, this adds one, and the next rotation signs with it. After each rotation reload the
    servers (`kill -HUP`) and wait five minutes before the next one, so that every cache has the new key.
    """
    ring, now = _read(path), key_rings.now()
    if any(key_rotation.role_of(key, ring, now) is KeyRole.STANDBY for key in ring):
        rules = services().tokens.rules
        ring = key_rotation.rotated(ring, now, rules.refresh_ttl + rules.leeway + RELOAD_MARGIN)
        message = f"{ring.signing.kid} signs after the next reload."
    else:
        message = "There was no standby key: reload the servers, and rotate again in five minutes."
    ring = key_rotation.with_standby(ring, alg, now)
    standby = list(ring)[-1].kid
    with services().audit.recorded(EventType.KEY_ROTATED, context=OPERATOR, signs=ring.signing.kid, standby=standby):
        key_rings.write(path, ring.to_json())
    click.echo(message)
    click.echo(f"{standby} is the standby key.")


@keys.command("retire")
@click.argument("kid", required=False)
@file_option
@click.option(
    "--force", is_flag=True, help="Retire the key even if it signed tokens that have not expired; they become invalid."
)
def retire(kid: str | None, path: Path, force: bool) -> None:
    """Remove the key KID or, without KID, all keys whose last token has expired.

    Like `rotate`, this needs the settings and the database, because it is recorded in the audit trail.
    """
    ring, now = _read(path), key_rings.now()
    roles = {key.kid: key_rotation.role_of(key, ring, now) for key in ring}
    expired = [each for each, role in roles.items() if role is KeyRole.EXPIRED]
    if not kid and not expired:
        click.echo("No key has expired.")
        return
    if kid and roles.get(kid) is KeyRole.VERIFIES and not force:
        raise click.ClickException(
            "Tokens that this key signed may not have expired, and would become invalid: use --force to accept that."
        )
    retired = [kid] if kid else expired
    forced = any(roles.get(each) is KeyRole.VERIFIES for each in retired)
    recorded = services().audit.recorded(EventType.KEY_RETIRED, context=OPERATOR, keys=retired, forced=forced)
    key_rings.retire(path, ring, retired, key_rotation.without, recorded)


def _read(path: Path) -> KeyRing:
    return key_rings.read(path, KeyRing.from_json)
