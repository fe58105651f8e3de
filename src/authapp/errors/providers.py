"""Refusals of logins by a provider."""

from authapp.errors.refusals import Conflict, Unauthenticated, Unavailable


class ProviderLoginFailed(Unauthenticated):
    """The answer of the provider was not accepted.

    The flow has expired, was used, or is another client's; the code or the ID token is not good; the provider told no
    usable email address of a new user; or the account is disabled. Begin another login.
    """

    code = "provider_login_failed"
    title = "The login by the provider failed."


class AccountExists(Conflict):
    """An account has the email address that the provider told, and is not linked with it.

    Log in to that account in another way and link the provider there: `POST /api/v1/users/me/providers/{name}`. An
    address alone never opens an account.
    """

    code = "account_exists"
    title = "An account has this email address."


class ProviderAlreadyLinked(Conflict):
    """An account is linked with this user of the provider, or yours is linked with another one.

    Unlink that one first.
    """

    code = "provider_already_linked"
    title = "The provider is linked already."


class ProviderUnavailable(Unavailable):
    """The provider does not answer, or not as it should.

    Nothing was changed. Send the request again, or log in in another way. If it is then refused, begin another login.
    """

    code = "provider_unavailable"
    title = "The provider cannot be asked now."
