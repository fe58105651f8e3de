"""``flask users erase``: an account, and what the audit trail has of its owner."""

import click

from authapp.cli.commands import services, user_ref
from authapp.context import OPERATOR


@click.argument("name", metavar="USERNAME|ID")
@click.confirmation_option(prompt="Delete this account and the traces of its owner permanently?")
def erase(name: str) -> None:
    """Delete an account, and remove addresses, user agents and details from its audit events.

    It needs the PostgreSQL role that owns the tables. Run it again with the ID if it was interrupted.
    """
    user_id = services().erasure.erase(user_ref(name), OPERATOR)
    click.echo(f"Erased the account {user_id}.")
