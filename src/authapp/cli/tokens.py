"""``flask tokens``: what is kept about tokens."""

from dataclasses import asdict

import click

from authapp.cli.commands import Commands, json_option, print_json, services

tokens = Commands("tokens", help="Look after what is kept about tokens.")


@tokens.command("prune")
@json_option
def prune(as_json: bool) -> None:
    """Remove blocklist entries and sessions whose tokens have all expired, and limits that are not in use.

    Nothing depends on it but the size of the tables: run it as often as you like, on as many nodes as you like.
    """
    pruned = services().pruning.prune()
    if as_json:
        print_json(asdict(pruned))
    else:
        rows = (
            f"{pruned.blocklisted_tokens} blocklist entries, {pruned.sessions} sessions, {pruned.limits} limits"
            f" and {pruned.one_time_tokens} one-time tokens"
        )
        click.echo(f"Removed {rows}.")
