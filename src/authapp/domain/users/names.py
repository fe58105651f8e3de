"""The rules for usernames and email addresses, for the API and the CLI alike."""

from dataclasses import dataclass

from authapp.domain.passwords.checks import require_acceptable
from authapp.errors import FieldError, ValidationFailed
from authapp.models.user import checked_email, checked_username


@dataclass(frozen=True)
class UserNames:
    """A username and an email address that keep the rules; the address is in its normal form."""

    username: str
    email: str

    @classmethod
    def checked(cls, username: str, email: str) -> "UserNames":
        """Return the names. Raises ``ValidationFailed``, which names every field at fault."""
        return cls(**checked_names(username=username, email=email))

    def require_acceptable(self, password: str) -> None:
        """Raise ``PasswordRejected``, with every reason, unless ``password`` may be this account's."""
        require_acceptable(password, username=self.username, email=self.email)


_RULES = {"username": checked_username, "email": checked_email}


def checked_names(**given: str) -> dict[str, str]:
    """Return the ``username``, the ``email`` or both, in their normal form.

    Names that are stored already are not checked again: an account that was imported under other rules must be
    changed and disabled like any other.

    Raises ``ValidationFailed``, which names every field at fault.
    """
    checked, field_errors = {}, []
    for name, value in given.items():
        try:
            checked[name] = _RULES[name](value)
        except ValueError as error:
            field_errors.append(FieldError(f"#/{name}", str(error)))
    if field_errors:
        raise ValidationFailed(field_errors=field_errors)
    return checked
