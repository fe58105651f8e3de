"""``flask users``: accounts."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from authapp import clock
from authapp.cli.commands import Commands, json_option, password_option, print_json, read_password, services
from authapp.cli.users_erase import erase
from authapp.cli.users_export import export
from authapp.cli.users_import import import_
from authapp.context import OPERATOR
from authapp.domain.factors.enrolled import factors_of
from authapp.models import User, UserStatus

users = Commands("users", help="Create and manage accounts.")
users.command("import")(import_)
users.command("export")(export)
users.command("erase")(erase)

name_argument = click.argument("name", metavar="USERNAME")


@users.command("create")
@click.argument("username")
@click.argument("email")
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="A role of the account; may be repeated.")
@password_option
@json_option
def create(username: str, email: str, roles: tuple[str, ...], password_stdin: bool, as_json: bool) -> None:
    """Create the account USERNAME with the email address EMAIL."""
    password = read_password(from_stdin=password_stdin)
    user = services().accounts.create(username=username, email=email, password=password, roles=roles, context=OPERATOR)
    _print(user, f"Created {user.username} <{user.email}> with id {user.id}.", as_json=as_json)


@users.command("create-service")
@click.argument("username")
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="A role of the account; may be repeated.")
@json_option
def create_service(username: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Create the account USERNAME of a service, which has API keys and nothing else."""
    user = services().accounts.create(username=username, roles=roles, context=OPERATOR)
    _print(user, f"Created the service {user.username} with id {user.id}.", as_json=as_json)


@users.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the accounts, in the order of their ids: oldest first, unless imported ones have kept theirs."""
    if as_json:
        print_json([_as_data(user) for user in services().user_search.iterate_all()])
        return
    for user in services().user_search.iterate_all():
        click.echo(f"{user.id}  {user.status:8}  {user.username:32}  {user.email or '-'}")


@users.command("show")
@name_argument
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one account, by its username or email address."""
    user = services().accounts.find(name)
    shown = {**_as_data(user), "roles": ", ".join(user.roles)}
    _print(user, "\n".join(f"{field}: {value or '-'}" for field, value in shown.items()), as_json=as_json)


@users.command("disable")
@name_argument
def disable(name: str) -> None:
    """Disable an account. Its tokens are refused from the next request on."""
    user = services().administration.disable(name, OPERATOR)
    click.echo(f"Disabled {user.username}, and ended its sessions.")


@users.command("enable")
@name_argument
def enable(name: str) -> None:
    """Enable a disabled account."""
    user = services().administration.enable(name, OPERATOR)
    click.echo(f"Enabled {user.username}.")


@users.command("unlock")
@name_argument
def unlock(name: str) -> None:
    """Reset the failed logins of an account, so that its owner can log in again at once."""
    user = services().administration.unlock(name, OPERATOR)
    click.echo(f"Unlocked {user.username}.")


@users.command("logout")
@name_argument
@click.option("--keys", is_flag=True, help="Delete the API keys of the account as well.")
def logout(name: str, keys: bool) -> None:
    """End all sessions of an account. Its tokens are refused from the next request on."""
    ended = services().administration.end_sessions(name, OPERATOR)
    click.echo(f"Ended {ended} session(s) of {name}.")
    if keys:
        deleted = services().api_keys.delete_all(name, OPERATOR)
        click.echo(f"Deleted {deleted} API key(s) of {name}.")


@users.command("set-password")
@name_argument
@password_option
def set_password(name: str, password_stdin: bool) -> None:
    """Set the password of an account, and end its sessions."""
    password = read_password(from_stdin=password_stdin)
    user = services().administration.set_password(name, password, OPERATOR)
    click.echo(f"Set the password of {user.username}, and ended its sessions.")


@users.command("factors")
@name_argument
@json_option
def factors(name: str, as_json: bool) -> None:
    """Show what an account can be logged in to with: its password and its second factors."""
    user = services().accounts.find(name)
    states = factors_of(user.id).states
    found = {name: clock.rfc3339(value) if isinstance(value, datetime) else value for name, value in states.items()}
    if as_json:
        print_json(found)
        return
    for field, value in found.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{field}: {shown or '-'}")


@users.command("reset-factors")
@name_argument
def reset_factors(name: str) -> None:
    """Remove all second factors of an account, and end its sessions: for an owner who has lost them."""
    if services().factors.resets.reset(name, OPERATOR):
        click.echo(f"Removed the second factors of {name}, and ended its sessions.")
    else:
        click.echo(f"{name} has no second factors.")


@users.command("verify-email")
@name_argument
def verify_email(name: str) -> None:
    """Mark the email address of an account as verified, without a link."""
    user = services().email.verifications.mark(name, OPERATOR)
    click.echo(f"Verified {user.email}, the address of {user.username}.")


@users.command("send-reset")
@name_argument
def send_reset(name: str) -> None:
    """Send a link to reset the password to the email address of an account."""
    if services().settings.mail_url is None:
        raise click.ClickException("No mail can be sent: set AUTHAPP_MAIL_URL.")
    if services().accounts.find(name).status != UserStatus.ACTIVE:
        raise click.ClickException(f"{name} is disabled, and gets no mail: enable the account first.")
    user = services().email.password_resets.store(name, OPERATOR)
    click.echo(f"A link to reset the password of {user.username} will be sent to {user.email}.")


@users.command("grant")
@name_argument
@click.argument("role")
def grant(name: str, role: str) -> None:
    """Grant a role to an account. It takes effect on the next request."""
    user = services().administration.grant(name, role, OPERATOR)
    click.echo(f"{user.username} has: {', '.join(user.roles)}.")


@users.command("revoke")
@name_argument
@click.argument("role")
def revoke(name: str, role: str) -> None:
    """Revoke a role from an account. It takes effect on the next request."""
    user = services().administration.revoke(name, role, OPERATOR)
    click.echo(f"{user.username} has: {', '.join(user.roles) or 'no role'}.")


@users.command("delete")
@name_argument
@click.confirmation_option(prompt="Delete this account permanently?")
def delete(name: str) -> None:
    """Delete an account and its sessions."""
    services().administration.delete(name, OPERATOR)
    click.echo(f"Deleted {name}.")


@users.command("repair-keys")
@json_option
def repair_keys(as_json: bool) -> None:
    """Write the keys of names anew that nodes of the previous version wrote by another rule.

    Run it after an upgrade, when the last of those nodes has stopped. The exit status is 1 if some accounts have the
    name of another account: these stay as they are.
    """
    repair = services().name_keys.repair(OPERATOR)
    if as_json:
        print_json({name: [str(user_id) for user_id in ids] for name, ids in asdict(repair).items()})
    else:
        click.echo(f"Repaired {len(repair.repaired)} account(s).")
    if repair.clashes:
        ids = ", ".join(map(str, repair.clashes))
        raise click.ClickException(
            f"{len(repair.clashes)} account(s) have the name of another account: {ids}. Change the name (PATCH "
            "/api/v1/users/{id}) or delete the account (DELETE there) of one of both, and run this again."
        )


def _print(user: User, message: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(user))
    else:
        click.echo(message)


def _as_data(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "kind": str(user.kind),
        "username": user.username,
        "email": user.email,
        "email_verified_at": clock.rfc3339(user.email_verified_at),
        "status": str(user.status),
        "roles": list(user.roles),
        "created_at": clock.rfc3339(user.created_at),
        "updated_at": clock.rfc3339(user.updated_at),
        "last_login_at": clock.rfc3339(user.last_login_at),
    }
