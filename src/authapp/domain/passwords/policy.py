"""The policy for new passwords of one application: all registered checks, and its list of breached passwords."""

from authapp.context import RequestContext
from authapp.domain.passwords.breached import BreachedPasswords
from authapp.domain.passwords.checks import NewPassword, password_checks
from authapp.errors import FieldError, PasswordRejected


class PasswordPolicy:
    """Decides whether a new password may be used. Nothing else asks the checks."""

    def __init__(self, breached: BreachedPasswords | None) -> None:
        """Take the list of breached passwords, if the application has one."""
        self.breached = breached

    def require_acceptable(
        self, password: str, *, username: str, email: str, context: RequestContext, field: str = "password"
    ) -> None:
        """Raise ``PasswordRejected``, with all reasons, unless all checks accept ``password``.

        Call it before the password is hashed, and without a database connection: it may ask another server.
        """
        new_password = NewPassword(password, username, email)
        objections = [objection for _, check in password_checks.items() for objection in check(new_password)]
        # Only a password that is fine otherwise is looked up, so that no guest can make us ask for nothing.
        if not objections and self.breached is not None:
            objections = list(self.breached.objections(password, context))
        if objections:
            raise PasswordRejected(field_errors=[FieldError(f"#/{field}", objection) for objection in objections])
