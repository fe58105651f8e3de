"""``flask tokens``: the stored data about tokens."""

import click

from authapp.cli.commands import Commands, json_option, print_json, services

tokens = Commands("tokens", help="Clean up stored data about tokens.")


@tokens.command("prune")
@json_option
def prune(as_json: bool) -> None:
    """Remove rows that are no longer needed.

    These are tokens, sessions, logins and API keys that have expired, counts of limits that are over, mails that no
    sender has dealt with for a week, and the rest of deleted roles. With AUTHAPP_EMAIL_VERIFICATION=required it also
    deletes accounts that were never verified or used (AUTHAPP_UNVERIFIED_ACCOUNT_DAYS). It may run at any time, on
    several nodes at once.
    """
    pruned = services().pruning.prune()
    if as_json:
        print_json(pruned)
    else:
        *counts, last = (f"{rows} {kind}" for kind, rows in pruned.items())
        click.echo(f"Removed {', '.join(counts)} and {last}.")
