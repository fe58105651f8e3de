"""``flask tokens``: the stored data about tokens."""

import click

from authapp.cli.commands import Commands, json_option, print_json, services

tokens = Commands("tokens", help="Clean up stored data about tokens.")


@tokens.command("prune")
@json_option
def prune(as_json: bool) -> None:
    """Remove rows that are no longer needed.

    These are blocklisted tokens, sessions and one-time tokens that have expired, rate limits that are not in use, and
    what is left of deleted roles. Otherwise only the size of the tables depends on this, so it may run at any time, on
    several nodes at once.
    """
    pruned = services().pruning.prune()
    if as_json:
        print_json(pruned)
    else:
        *counts, last = (f"{rows} {kind}" for kind, rows in pruned.items())
        click.echo(f"Removed {', '.join(counts)} and {last}.")
