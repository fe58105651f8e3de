"""``flask roles``: named sets of permissions."""

from dataclasses import asdict

import click
from flask import current_app

from authapp.cli.commands import Commands, json_option, print_json
from authapp.domain import UseCases
from authapp.domain.roles import Roles

roles = Commands("roles", help="Look after the roles.")


@roles.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the roles, and what they allow."""
    found = _roles().all()
    if as_json:
        print_json([asdict(role) for role in found])
        return
    for role in found:
        click.echo(f"{role.name:16}  {', '.join(role.permissions) or '-'}  {role.description}".rstrip())


@roles.command("create")
@click.argument("name")
@click.option("--permission", "permissions", metavar="PERMISSION", multiple=True, help="May be repeated.")
@click.option("--description", default="", help="What the role is for.")
@json_option
def create(name: str, permissions: tuple[str, ...], description: str, as_json: bool) -> None:
    """Make the role NAME."""
    role = _roles().create(name, permissions, description)
    if as_json:
        print_json(asdict(role))
    else:
        click.echo(f"Created the role {role.name}: {', '.join(role.permissions) or 'no permission'}.")


@roles.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete this role, and take it from everybody who has it?")
def delete(name: str) -> None:
    """Delete a role, and take it from everybody."""
    _roles().delete(name)
    click.echo(f"Deleted the role {name}.")


def _roles() -> Roles:
    return UseCases.of(current_app).roles
