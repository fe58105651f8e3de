"""``flask users export``: accounts in the form of an import."""

import json
import os
from pathlib import Path

import click

from authapp.cli.commands import services
from authapp.domain.exports import import_fields
from authapp.models import UserKind


@click.argument("name", metavar="[USERNAME]", required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new file; one that exists is refused.")
@click.option("--with-hashes", is_flag=True, help="Write the password hashes, too.")
@click.option("--with-totp-secrets", is_flag=True, help="Write the secrets of authenticator apps, too, not encrypted.")
def export(name: str | None, out: Path, with_hashes: bool, with_totp_secrets: bool) -> None:
    """Write an account, or all of them, to a file that only its owner can read, one JSON object a line.

    Service accounts are left out: their API keys cannot be moved.
    """
    accounts = services().exports.accounts(name, with_totp_secrets=with_totp_secrets)
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be made: {error.strerror}.") from None
    written = left_out = 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for account in accounts:
            if account.user.kind == UserKind.SERVICE:
                left_out += 1
            else:
                file.write(f"{json.dumps(import_fields(account, with_hash=with_hashes))}\n")
                written += 1
    click.echo(f"Exported {written} account(s) to {out}, and left out {left_out} service account(s).")
