"""Refusals of passkeys."""

from authapp.errors.refusals import Conflict, Unauthenticated


class PasskeyInvalid(Unauthenticated):
    """The answer of the authenticator was not accepted.

    Its challenge has expired or was used, it is from another page, the user was not verified, or no active account has
    this passkey. The answer is the same for all of these, so that it does not reveal who has a passkey. Get another
    challenge and ask the user again.
    """

    code = "passkey_invalid"
    title = "The passkey was not accepted."


class TooManyPasskeys(Conflict):
    """The account has as many passkeys as it may have: 20.

    Delete one first.
    """

    code = "too_many_passkeys"
    title = "There are too many passkeys."


class LastWayIn(Conflict):
    """Without this, nobody could log in to the account any more.

    Set a password, add another passkey or link a provider first. Recovery codes and authenticator apps do not count:
    they are second factors. Nor does a provider that this service no longer has.
    """

    code = "last_way_in"
    title = "This is the last way to log in."
