"""``flask users``: the accounts."""

from typing import Any

import click
from flask import current_app

from authapp import clock
from authapp.cli.commands import Commands, json_option, password_option, print_json, read_password
from authapp.domain import UseCases
from authapp.models import User

users = Commands("users", help="Create and manage accounts.")

name_argument = click.argument("name", metavar="USERNAME")


@users.command("create")
@click.argument("username")
@click.argument("email")
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="A role of the account; may be repeated.")
@password_option
@json_option
def create(username: str, email: str, roles: tuple[str, ...], password_stdin: bool, as_json: bool) -> None:
    """Create the account USERNAME with the address EMAIL."""
    password = read_password(from_stdin=password_stdin)
    user = _use_cases().accounts.create(username=username, email=email, password=password, roles=roles)
    _tell(user, f"Created {user.username} <{user.email}> with id {user.id}.", as_json=as_json)


@users.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the accounts, the oldest first."""
    if as_json:
        print_json([_as_data(user) for user in _use_cases().directory.all()])
        return
    for user in _use_cases().directory.all():
        click.echo(f"{user.id}  {user.status:8}  {user.username:32}  {user.email}")


@users.command("show")
@name_argument
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one account, by its username or email address."""
    user = _use_cases().accounts.find(name)
    shown = {**_as_data(user), "roles": ", ".join(user.roles)}
    _tell(user, "\n".join(f"{field}: {value or '-'}" for field, value in shown.items()), as_json=as_json)


@users.command("disable")
@name_argument
def disable(name: str) -> None:
    """Disable an account; its tokens are dead on the next request."""
    user = _use_cases().administration.disable(name)
    click.echo(f"Disabled {user.username}, and ended its sessions.")


@users.command("enable")
@name_argument
def enable(name: str) -> None:
    """Enable an account again."""
    user = _use_cases().administration.enable(name)
    click.echo(f"Enabled {user.username}.")


@users.command("unlock")
@name_argument
def unlock(name: str) -> None:
    """Forget the failed logins of an account: it may be tried again at once."""
    user = _use_cases().administration.unlock(name)
    click.echo(f"Unlocked {user.username}.")


@users.command("logout")
@name_argument
def logout(name: str) -> None:
    """End every session of an account; its tokens are dead on the next request."""
    ended = _use_cases().administration.end_sessions(name)
    click.echo(f"Ended {ended} session(s) of {name}.")


@users.command("set-password")
@name_argument
@password_option
def set_password(name: str, password_stdin: bool) -> None:
    """Set an account's password, and end its sessions."""
    password = read_password(from_stdin=password_stdin)
    user = _use_cases().administration.set_password(name, password)
    click.echo(f"Set the password of {user.username}, and ended its sessions.")


@users.command("grant")
@name_argument
@click.argument("role")
def grant(name: str, role: str) -> None:
    """Give an account a role; it counts from the next request on."""
    user = _use_cases().administration.grant(name, role)
    click.echo(f"{user.username} has: {', '.join(user.roles)}.")


@users.command("revoke")
@name_argument
@click.argument("role")
def revoke(name: str, role: str) -> None:
    """Take a role from an account; it is gone on the next request."""
    user = _use_cases().administration.revoke(name, role)
    click.echo(f"{user.username} has: {', '.join(user.roles) or 'no role'}.")


@users.command("delete")
@name_argument
@click.confirmation_option(prompt="Delete this account for good?")
def delete(name: str) -> None:
    """Delete an account, with its sessions."""
    _use_cases().administration.delete(name)
    click.echo(f"Deleted {name}.")


def _use_cases() -> UseCases:
    return UseCases.of(current_app)


def _tell(user: User, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(user))
    else:
        click.echo(words)


def _as_data(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "status": str(user.status),
        "roles": list(user.roles),
        "created_at": clock.rfc3339(user.created_at),
        "updated_at": clock.rfc3339(user.updated_at),
        "last_login_at": clock.rfc3339(user.last_login_at),
    }
