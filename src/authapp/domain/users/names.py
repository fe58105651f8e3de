"""Checking usernames and email addresses, for the API and the CLI."""

from dataclasses import dataclass

from authapp.errors import FieldError, ValidationFailed
from authapp.models.user import checked_email, checked_username


@dataclass(frozen=True)
class UserNames:
    """A valid username and email address; the address is in its normal form, and ``None`` for a service account."""

    username: str
    email: str | None

    @classmethod
    def checked(cls, username: str, email: str | None) -> "UserNames":
        """Return the names. Raises ``ValidationFailed``, which lists all invalid fields."""
        if email is None:
            return cls(**checked_names(username=username), email=None)
        return cls(**checked_names(username=username, email=email))


_RULES = {"username": checked_username, "email": checked_email}


def checked_names(**names: str) -> dict[str, str]:
    """Return the given ``username`` and ``email`` in their normal form.

    Call this only for new names. Stored names are not checked again, so that accounts imported under other rules can
    still be changed and disabled.

    Raises ``ValidationFailed``, which lists all invalid fields.
    """
    checked, field_errors = {}, []
    for name, value in names.items():
        try:
            checked[name] = _RULES[name](value)
        except ValueError as error:
            field_errors.append(FieldError(f"#/{name}", str(error)))
    if field_errors:
        raise ValidationFailed(field_errors=field_errors)
    return checked
