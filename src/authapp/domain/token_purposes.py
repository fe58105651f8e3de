"""What one-time tokens are for, how long those for each purpose live, and which have a route of their own."""

from dataclasses import dataclass
from datetime import timedelta

from authapp.registry import Registry


@dataclass(frozen=True)
class PurposeRule:
    """How the tokens for one purpose live: for ``lifetime``, from the moment when their mail is sent.

    With ``survives_changes`` no change of the account voids them. Otherwise whoever stole a session could change the
    address, and then the password, and so void the owner's undo link.

    ``has_own_route`` is for tokens that need more than a password beside them, such as a new password. Then no
    ``LinkConfirmation`` can be for the purpose, or its tokens could be used without the rest.
    """

    lifetime: timedelta
    survives_changes: bool = False
    has_own_route: bool = False


token_purposes: Registry[PurposeRule] = Registry(
    "purpose of one-time tokens", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as join_team."
)
"""All purposes. A token for one opens nothing else. Register your own before you issue tokens for them."""


class TokenPurpose:
    """The purposes of authapp itself."""

    VERIFY_EMAIL = token_purposes.register("verify_email", PurposeRule(timedelta(hours=24)))
    RESET_PASSWORD = token_purposes.register("reset_password", PurposeRule(timedelta(hours=1), has_own_route=True))
    CHANGE_EMAIL = token_purposes.register("change_email", PurposeRule(timedelta(hours=24)))
    # ``domain/email/previous_addresses.py`` says which of these tokens still count.
    UNDO_EMAIL = token_purposes.register("undo_email", PurposeRule(timedelta(hours=72), survives_changes=True))
    # A thief who adds a factor, and so voids other links, must not void this one.
    UNDO_FACTORS = token_purposes.register("undo_factors", PurposeRule(timedelta(hours=72), survives_changes=True))
    # ASVS 5.0, 6.5.5: an out-of-band authentication is valid for at most 10 minutes.
    LOGIN = token_purposes.register("login", PurposeRule(timedelta(minutes=10), has_own_route=True))
