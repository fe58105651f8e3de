"""What a username, an email address and a password must be, for whoever asks: the API and the CLI alike."""

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
        return cls(**checked_names(username=username, email=email))

    def check_password(self, password: str, *, field: str = "password") -> None:
        """Raise ``PasswordRejected``, with every reason, unless ``password`` may be this account's."""
        objections = password_policy.objections(password, username=self.username, email=self.email)
        if faults := [Fault(f"#/{field}", objection) for objection in objections]:
            raise PasswordRejected(faults=faults)


_RULES = {"username": checked_username, "email": checked_email}


def checked_names(**given: str) -> dict[str, str]:
    """Return the ``username``, the ``email`` or both, in their normal form.

    What is stored already is not asked for: an account brought from elsewhere, whose names keep other rules, must be
    changed and disabled like any other.

    Raises ``ValidationFailed``, which names every field at fault.
    """
    checked, faults = {}, []
    for name, value in given.items():
        try:
            checked[name] = _RULES[name](value)
        except ValueError as error:
            faults.append(Fault(f"#/{name}", str(error)))
    if faults:
        raise ValidationFailed(faults=faults)
    return checked
