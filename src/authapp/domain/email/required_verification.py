"""No login before the address is verified, where ``AUTHAPP_EMAIL_VERIFICATION`` says so."""

from sqlalchemy import bindparam, select

from authapp.database.session import read_one
from authapp.domain import hooks
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.errors import EmailNotVerified
from authapp.models import User

_VERIFIED_AT = select(User.email_verified_at).where(User.id == bindparam("user_id"))


def connect(app: object) -> None:
    """Refuse every session of ``app``, and every request with HTTP Basic, whose user has no verified address."""
    hooks.before_session_start.connect(_require_verified, sender=app)


@hooks.may_refuse(EmailNotVerified)
def _require_verified(_app: object, *, result: AuthenticationResult, **_: object) -> None:
    row = read_one(_VERIFIED_AT, {"user_id": result.user_id})
    # Without a row the account has just been deleted, and no session starts.
    if row is not None and row.email_verified_at is None:
        raise EmailNotVerified
