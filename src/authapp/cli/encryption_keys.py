"""``flask keys encryption`` and ``flask keys reencrypt``: the keys that encrypt what is stored.

``generate`` and ``list`` work without settings, like those for the keys that sign.
"""

from dataclasses import asdict
from pathlib import Path

import click

from authapp import clock
from authapp.cli import key_rings
from authapp.cli.commands import Commands, json_option, print_json, services
from authapp.cli.key_rings import out_option
from authapp.context import OPERATOR
from authapp.domain.audit import EventType
from authapp.domain.factors.reencryption import reencrypt as encrypt_anew
from authapp.domain.factors.stored_keys import needed_key_ids
from authapp.security import encryption_rotation
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.encryption_rotation import EncryptionRole

encryption = Commands("encryption", help="Generate and rotate the keys that encrypt stored secrets.")

file_option = key_rings.file_option("AUTHAPP_ENCRYPTION_KEYS_FILE")


@encryption.command("generate", with_appcontext=False)
@out_option
def generate(out: Path | None) -> None:
    """Generate a JWK Set with one new key, for AUTHAPP_ENCRYPTION_KEYS or AUTHAPP_ENCRYPTION_KEYS_FILE.

    Keep a copy apart from the backups of the database: without the key, what it encrypted is lost.
    """
    keys = EncryptionKeys.generate(key_rings.now())
    key_rings.print_new(keys.to_json(), out, kid=keys.first.kid, depends="stored secrets")


@encryption.command("list", with_appcontext=False)
@file_option
@json_option
def list_(path: Path, as_json: bool) -> None:
    """List the keys in the ring, with the role of each."""
    keys = _read(path)
    rows = [
        {
            "kid": key.kid,
            "role": str(encryption_rotation.role_of(key, keys)),
            "created_at": clock.rfc3339(clock.from_timestamp(key.jwk.get("iat"))),
        }
        for key in keys
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['kid']}  {row['role']}")


@encryption.command("rotate")
@file_option
def rotate(path: Path) -> None:
    """Start to encrypt with the standby key, and add the next standby key.

    If there is no standby key yet, this adds one, and the next rotation encrypts with it. Reload all servers (`kill
    -HUP`) after each rotation, and before the next one: each must have a key before another one encrypts with it.
    """
    keys = _read(path)
    if encryption_rotation.standby_of(keys):
        keys = encryption_rotation.rotated(keys)
        message = f"{keys.first.kid} encrypts after the next reload. Then run `flask keys reencrypt`."
    else:
        message = "There was no standby key: reload the servers, and rotate again."
    keys = encryption_rotation.with_standby(keys, key_rings.now())
    standby = list(keys)[-1].kid
    details = {"encrypts": keys.first.kid, "standby": standby}
    with services().audit.recorded(EventType.KEY_ROTATED, context=OPERATOR, **details):
        key_rings.write(path, keys.to_json())
    click.echo(message)
    click.echo(f"{standby} is the standby key.")


@encryption.command("retire")
@click.argument("kid", required=False)
@file_option
def retire(kid: str | None, path: Path) -> None:
    """Remove the key KID or, without KID, all older keys with which nothing is encrypted any more.

    Copy the file first, and make sure that every server was reloaded after the last rotation: one that was not still
    encrypts with an older key. A key that stored secrets need is not removed: run `flask keys reencrypt` first. Reload
    the servers afterwards.
    """
    keys, audit, needed = _read(path), services().audit, needed_key_ids()
    older = [key.kid for key in keys if encryption_rotation.role_of(key, keys) is EncryptionRole.DECRYPTS]
    retired = [kid] if kid else [each for each in older if each not in needed]
    if not retired:
        click.echo("No key can be removed.")
        return
    if kid in needed:
        raise click.ClickException(f"{kid} is not retired: stored secrets need it. Run `flask keys reencrypt` first.")
    recorded = audit.recorded(EventType.KEY_RETIRED, context=OPERATOR, keys=retired)
    key_rings.retire(path, keys, retired, encryption_rotation.without, recorded)


@json_option
def reencrypt(as_json: bool) -> None:
    """Encrypt stored secrets anew with the first key, after a rotation and a reload of the servers.

    It works in small batches while requests flow, and can be run again at any time. The exit status is 1 if some
    secrets still need another key.
    """
    keys = services().encryption_keys
    if keys is None:
        raise click.ClickException("AUTHAPP_ENCRYPTION_KEYS is not set: there is no key to encrypt with.")
    result = encrypt_anew(keys)
    if as_json:
        print_json({**asdict(result), "damaged": [str(user_id) for user_id in result.damaged]})
    else:
        click.echo(f"Encrypted {result.done} secret(s) anew.")
    if result.damaged:
        raise click.ClickException(
            f"The secrets of {len(result.damaged)} account(s) are damaged: {', '.join(map(str, result.damaged))}."
            " Their owners need new ones: flask users reset-factors"
        )
    if missing := [key_id for key_id in result.needed if key_id not in keys]:
        raise click.ClickException(f"Some secrets need {', '.join(missing)}, which AUTHAPP_ENCRYPTION_KEYS lacks.")
    if result.needed:
        raise click.ClickException("Some secrets were in use: run this again.")


def _read(path: Path) -> EncryptionKeys:
    return key_rings.read(path, EncryptionKeys.from_json)
