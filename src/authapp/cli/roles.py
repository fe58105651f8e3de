"""``flask roles``: named sets of permissions."""

from dataclasses import asdict

import click

from authapp.cli.commands import Commands, json_option, print_json, services
from authapp.context import OPERATOR

roles = Commands("roles", help="List, create and delete roles.")


@roles.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the roles and their permissions."""
    found = services().roles.iterate_all()
    if as_json:
        print_json([asdict(role) for role in found])
        return
    for role in found:
        click.echo(f"{role.name:16}  {', '.join(role.permissions) or '-'}  {role.description}".rstrip())


@roles.command("create")
@click.argument("name")
@click.option(
    "--permission",
    "permissions",
    metavar="PERMISSION",
    multiple=True,
    help="A permission of the role; may be repeated.",
)
@click.option("--description", default="", help="What the role is for.")
@json_option
def create(name: str, permissions: tuple[str, ...], description: str, as_json: bool) -> None:
    """Create the role NAME."""
    role = services().roles.create(name, permissions, description, context=OPERATOR)
    if as_json:
        print_json(asdict(role))
    else:
        click.echo(f"Created the role {role.name}: {', '.join(role.permissions) or 'no permission'}.")


@roles.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete this role, and revoke it from all accounts?")
def delete(name: str) -> None:
    """Delete a role, and revoke it from all accounts."""
    services().roles.delete(name, context=OPERATOR)
    click.echo(f"Deleted the role {name}.")
