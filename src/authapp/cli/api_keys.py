"""``flask api-keys``: the API keys of an account."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from authapp import clock
from authapp.cli.commands import Commands, Duration, json_option, print_json, services
from authapp.context import OPERATOR
from authapp.domain.api_keys.api_keys import ApiKeyRequest
from authapp.domain.users.rows import UserRef
from authapp.models import ApiKey
from authapp.security.api_keys import PREFIX_LENGTH, ids_of_prefix

api_keys = Commands("api-keys", help="Create, list and delete API keys.")

owner_argument = click.argument("owner", metavar="USERNAME")


@api_keys.command("create")
@owner_argument
@click.option("--name", required=True, help="Who or what uses the key.")
@click.option(
    "--permission",
    "permissions",
    metavar="PERMISSION",
    multiple=True,
    help="What the key may do; may be repeated. Without it, the key may do all that its owner may.",
)
@click.option("--expires", type=Duration(), help="When the key ends: in 90d, for example. Without it, it does not.")
@json_option
def create(owner: str, name: str, permissions: tuple[str, ...], expires: timedelta | None, as_json: bool) -> None:
    """Make a key of an account, and print it: it is not shown again."""
    expires_at = None if expires is None else clock.now() + expires
    wanted = ApiKeyRequest(name=name, permissions=permissions or None, expires_at=expires_at)
    made = services().api_keys.create_for(owner, wanted, OPERATOR)
    if as_json:
        print_json({**_as_data(made.row), "key": made.secret})
    else:
        click.echo(made.secret)


@api_keys.command("list")
@owner_argument
@json_option
def list_(owner: str, as_json: bool) -> None:
    """List the keys of an account, oldest first."""
    found = [_as_data(row) for row in services().api_keys.iterate_all(owner)]
    if as_json:
        print_json(found)
        return
    for key in found:
        permissions = "all" if key["permissions"] is None else ", ".join(key["permissions"]) or "-"
        used, ends = key["last_used_at"] or "never", key["expires_at"] or "never"
        click.echo(f"{key['id']}  {key['prefix']}  {key['name']}  may: {permissions}  used: {used}  ends: {ends}")


@api_keys.command("delete")
@click.argument("owner", metavar="USERNAME|PREFIX")
@click.argument("key_id", metavar="[ID]", type=click.UUID, required=False)
def delete(owner: str, key_id: UUID | None) -> None:
    """Delete a key: of an account, by its ID; or by its PREFIX alone, for which a key that was found will do.

    It is refused from the next request on.
    """
    ref: UserRef = owner
    if key_id is None:
        ref, key_id = _named_by(owner)
    services().api_keys.delete(ref, key_id, OPERATOR)
    click.echo(f"Deleted the key {key_id} of {ref}.")


def _named_by(text: str) -> tuple[UUID, UUID]:
    try:
        ids = ids_of_prefix(text[:PREFIX_LENGTH])
    except ValueError:
        raise click.UsageError("Name a username and the ID of a key, or the prefix of a key.") from None
    return ids.user_id, ids.key_id


def _as_data(row: ApiKey) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "prefix": row.prefix,
        "permissions": row.permissions,
        "created_at": clock.rfc3339(row.created_at),
        "last_used_at": clock.rfc3339(row.last_used_at),
        "expires_at": clock.rfc3339(row.expires_at),
    }
