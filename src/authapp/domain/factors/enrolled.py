"""Which second factors an account has."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, exists, func, select

from authapp.context import MULTI_FACTOR, Principal, RequestContext
from authapp.database.session import read_one
from authapp.errors import StepUpRequired
from authapp.models import Passkey, RecoveryCode, TotpFactor, User

TOTP = "totp"
PASSKEY = "passkey"
RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True)
class EnrolledFactors:
    """The factors of one account. Recovery codes replace a second factor; alone they are none."""

    has_password: bool
    totp_enabled_at: datetime | None
    has_passkey: bool
    recovery_codes: int

    def second(self) -> list[str]:
        """Return the names of the second factors."""
        return [*([TOTP] if self.totp_enabled_at else []), *([PASSKEY] if self.has_passkey else [])]

    def completing(self) -> list[str]:
        """Return the names of what a login may be completed with: the second factors, and what replaces them."""
        second = self.second()
        return [*second, RECOVERY_CODE] if second and self.recovery_codes else second


_USER_ID = bindparam("user_id", type_=Uuid)
_REMAINING = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == _USER_ID).scalar_subquery()
_ENROLLED = (
    select(
        (User.password_hash.is_not(None)).label("has_password"),
        TotpFactor.confirmed_at.label("totp_enabled_at"),
        exists().where(Passkey.user_id == _USER_ID).label("has_passkey"),
        _REMAINING.label("recovery_codes"),
    )
    .select_from(User)
    .outerjoin(TotpFactor, TotpFactor.user_id == User.id)
    .where(User.id == _USER_ID)
)


def require_second_factor(user_id: UUID, context: RequestContext) -> None:
    """Raise ``StepUpRequired`` if the account has a second factor that the session of ``context`` has not proven.

    Otherwise a thief of a session from before could add a factor of their own, and so prove it.
    """
    principal = context.principal
    if isinstance(principal, Principal) and MULTI_FACTOR not in principal.amr and factors_of(user_id).second():
        raise StepUpRequired(acr_values=MULTI_FACTOR)


def factors_of(user_id: UUID) -> EnrolledFactors:
    """Return the factors of an account, in one statement. A deleted account has none."""
    row = read_one(_ENROLLED, {"user_id": user_id})
    if row is None:
        return EnrolledFactors(has_password=False, totp_enabled_at=None, has_passkey=False, recovery_codes=0)
    return EnrolledFactors(row.has_password, row.totp_enabled_at, row.has_passkey, row.recovery_codes)
