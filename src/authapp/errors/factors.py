"""Refusals of second factors, and those of logins that need one."""

from types import MappingProxyType

from authapp.errors.refusals import Conflict, Forbidden, Unauthenticated


class SecondFactorRequired(Unauthenticated):
    """The first factor was right, and the account has a second one.

    Send `challenge` with one of `factors` to `POST /api/v1/auth/second-factors`, within `expires_in` seconds. HTTP
    Basic has no second step: it is not accepted for such an account, and gets none of these.
    """

    code = "second_factor_required"
    title = "A second factor is required."
    member_examples = MappingProxyType(
        {
            "challenge": "AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_",
            "factors": ["totp", "recovery_code"],
            "expires_in": 300,
        }
    )
    is_final = False

    def __init__(self, **members: object) -> None:
        """Take the ``challenge``, the ``factors`` that complete the login, and for how many seconds it waits."""
        super().__init__()
        self.members = MappingProxyType(members)


class ChallengeInvalid(Unauthenticated):
    """The challenge is not that of a login that waits for its second factor, or no longer.

    It is good for five minutes, five wrong codes and one login, and void when the account changes. Log in again.
    """

    code = "challenge_invalid"
    title = "The challenge is not valid."


class SecondFactorInvalid(Unauthenticated):
    """The second factor was not right, or was used before.

    Ask the user for the next code. After five wrong ones, log in again.
    """

    code = "second_factor_invalid"
    title = "The second factor was not accepted."


class SecondFactorEnrolmentRequired(Forbidden):
    """A role of the account requires a second factor, and the account has none.

    Add one: `POST /api/v1/users/me/totp` or `POST /api/v1/users/me/passkeys/challenges`.
    """

    code = "second_factor_enrolment_required"
    title = "This account has to get a second factor first."


class FactorExists(Conflict):
    """The account already has a factor of this kind.

    Remove it first; or go on to use it.
    """

    code = "factor_exists"
    title = "There is such a factor already."
