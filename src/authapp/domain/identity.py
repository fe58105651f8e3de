"""What a username, an email address and a password must be, for whoever asks: the API and the CLI alike."""

from collections.abc import Callable
from dataclasses import dataclass

from authapp.errors import Fault, PasswordRejected, ValidationFailed
from authapp.models.user import checked_email, checked_username
from authapp.security import password_policy


@dataclass(frozen=True)
class Identity:
    """A username and an email address that keep the rules; the address is in its normal form."""

    username: str
    email: str

    @classmethod
    def checked(cls, username: str, email: str) -> "Identity":
        """Return the identity. Raises ``ValidationFailed``, which names every field at fault."""
        faults: list[Fault] = []

        def check(name: str, rule: Callable[[str], str], value: str) -> str:
            try:
                return rule(value)
            except ValueError as error:
                faults.append(Fault(f"#/{name}", str(error)))
                return value

        identity = cls(check("username", checked_username, username), check("email", checked_email, email))
        if faults:
            raise ValidationFailed(faults=faults)
        return identity

    def check_password(self, password: str, *, field: str = "password") -> None:
        """Raise ``PasswordRejected``, with every reason, unless ``password`` may be this account's."""
        objections = password_policy.objections(password, username=self.username, email=self.email)
        if faults := [Fault(f"#/{field}", objection) for objection in objections]:
            raise PasswordRejected(faults=faults)
