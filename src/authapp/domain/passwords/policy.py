"""The policy for new passwords of one application: all registered checks, its list of breached ones, and the hash."""

from authapp.context import RequestContext
from authapp.domain.passwords.breached import BreachedPasswords
from authapp.domain.passwords.checks import NewPassword, password_checks
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.errors import FieldError, PasswordRejected


class PasswordPolicy:
    """Decides whether a new password may be used, and hashes it. Nothing else asks the checks."""

    def __init__(self, breached: BreachedPasswords | None, hasher: PasswordHasher) -> None:
        """Take the list of breached passwords, if the application has one, and what hashes."""
        self.breached = breached
        self._hasher = hasher

    def checked_hash(
        self, password: str, *, username: str, email: str, context: RequestContext, field: str = "password"
    ) -> str:
        """Return the hash of a new password, if all checks accept it.

        Call it without a database connection: it may ask another server, and hashing takes long.

        Raises ``PasswordRejected``, with all reasons, before anything is hashed; or ``ServiceUnavailable``.
        """
        new_password = NewPassword(password, username, email)
        objections = [objection for _, check in password_checks.items() for objection in check(new_password)]
        # Only a password that is fine otherwise is looked up, so that no guest can make us ask for nothing.
        if not objections and self.breached is not None:
            objections = list(self.breached.objections(password, context))
        if objections:
            raise PasswordRejected(field_errors=[FieldError(f"#/{field}", objection) for objection in objections])
        return self._hasher.hash(password, context)
