"""What can become of a mail that was due."""

from enum import StrEnum


class MailOutcome(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    POSTPONED = "postponed"
    FAILED = "failed"
    """It was given up: the recipient was refused, or it could not be sent in time."""
    DROPPED = "dropped"
    """Nobody is to get it, because no account has the address, or the request is out of date."""
    TAKEN = "taken"
    """The claim ended before it was this mail's turn, and another sender has it."""
