"""Refusals that concern the names and the state of accounts."""

from authapp.errors.refusals import Conflict, Forbidden


class UsernameTaken(Conflict):
    """Another account already has this username (upper and lower case are the same).

    Choose another username.
    """

    code = "username_taken"
    title = "This username is taken."


class EmailTaken(Conflict):
    """Another account already has this email address (upper and lower case are the same).

    Log in with that account, or use another address.
    """

    code = "email_taken"
    title = "This email address is taken."


class RegistrationClosed(Forbidden):
    """Self-registration is turned off on this service.

    Ask its operator for an account.
    """

    code = "registration_closed"
    title = "Registration is closed."


class EmailNotVerified(Forbidden):
    """The email address of the account has not been verified, which this service or this route requires.

    Ask the user to open the link in the mail that was sent to the address, and repeat the request. Another mail can be
    requested.
    """

    code = "email_not_verified"
    title = "The email address is not verified."


class ServiceAccount(Conflict):
    """The account is that of a service: it has no password and no email address.

    Give it API keys.
    """

    code = "service_account"
    title = "A service account has no password and no email address."
