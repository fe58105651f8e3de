"""Refusals of passwords."""

from authapp.errors.refusals import FieldError, Forbidden, Invalid, Unauthenticated


class PasswordRejected(Invalid):
    """The password is too short, too long or too common, contains a name of the account, or was in a data breach.

    `errors` gives each reason. Choose another password. All characters are allowed, and no mix of letters, digits and
    symbols is required.
    """

    code = "password_rejected"
    title = "This password cannot be used."
    example = FieldError("#/password", "It is one of the most common passwords.")


class InvalidCredentials(Unauthenticated):
    """No active account has this username or email address together with this password.

    The answer is the same for a missing account, a disabled account and a wrong password, so that it does not reveal
    which accounts exist. Ask the user to check both fields.
    """

    code = "invalid_credentials"
    title = "The username or the password is wrong."


class WrongPassword(Forbidden):
    """The current password in the body is wrong. The token is valid.

    Ask the user for the password again.
    """

    code = "wrong_password"
    title = "The current password is wrong."
