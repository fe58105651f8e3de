"""What attempts are counted for: a login by one of the two names of an account, a password in a session, a code."""

from dataclasses import dataclass

from authapp.registry import Registry


@dataclass(frozen=True)
class ThrottleScope:
    """What attempts are for. Each scope is counted separately, under its ``name``.

    After half of the failures that an account may have, further attempts are refused with ``locked_message``. A new
    password, and enabling the account, resets the failures unless ``is_second_factor``, and pruning does not forget
    those of an account.
    """

    name: str
    locked_message: str
    is_second_factor: bool = False


throttle_scopes: Registry[ThrottleScope] = Registry(
    "scope of attempts", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as login."
)
"""All scopes, by name. Register yours before you count attempts in it.

Those of second factors are named in ``deploy/pg_cron.sql`` as well.
"""


def second_factor_scopes() -> list[str]:
    """Return the names of the scopes of second factors that are registered by now."""
    return [name for name, scope in throttle_scopes.items() if scope.is_second_factor]


_LOCKED_NAME = "There were too many failed attempts under this name: reset the password, or ask an administrator."

# The two names of an account are counted apart: if failures under one made the other wait, that would reveal that both
# are one account.
LOGIN_BY_USERNAME = ThrottleScope("login", _LOCKED_NAME)
LOGIN_BY_EMAIL = ThrottleScope("login_by_email", _LOCKED_NAME)
# A live session confirms, for example, a new password; and a guest with a token from a mail that it is theirs.
CONFIRMATION = ThrottleScope(
    "confirmation", "There were too many wrong passwords: log in again, or reset the password."
)
# Each challenge has guesses of its own, and whoever knows an address can ask for many. The sentence is shown to nobody:
# the answer must not tell whether the address has an account.
LOGIN_CODE = ThrottleScope("login_code", "There were too many wrong codes.")

# Who sends codes has proven the first factor, or has a session: strangers cannot lock an owner out. Nothing but a right
# factor, ``flask users unlock`` and a reset of all factors resets these failures: each reset is so many guesses more.
SECOND_FACTOR = ThrottleScope(
    "second_factor",
    "There were too many wrong codes: use a passkey or a recovery code, or ask an administrator.",
    is_second_factor=True,
)

for each in (LOGIN_BY_USERNAME, LOGIN_BY_EMAIL, CONFIRMATION, LOGIN_CODE, SECOND_FACTOR):
    throttle_scopes.register(each.name, each)
