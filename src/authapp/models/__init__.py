"""The tables, and the rules for single rows. Nothing here commits."""

from authapp.database.session import Model
from authapp.models.api_key import ApiKey
from authapp.models.audit_event import AuditEvent
from authapp.models.blocklisted_token import BlocklistedToken
from authapp.models.foreign_hash_mark import ForeignHashMark
from authapp.models.one_time_token import OneTimeToken
from authapp.models.outgoing_mail import OutgoingMail
from authapp.models.passkey import Passkey
from authapp.models.pending_login import PendingLogin
from authapp.models.provider_identity import ProviderIdentity
from authapp.models.rate_limit_counter import RateLimitCounter
from authapp.models.recovery_code import RecoveryCode
from authapp.models.role import Role, UserRole
from authapp.models.session import EndReason, Session
from authapp.models.throttle import Throttle
from authapp.models.totp_factor import TotpFactor
from authapp.models.used_challenge import UsedChallenge
from authapp.models.user import User, UserKind, UserStatus

TABLES = frozenset(
    mapper.local_table.name for mapper in Model.registry.mappers if mapper.class_.__module__.startswith(f"{__name__}.")
)
"""The names of authapp's own tables. A project that uses authapp may declare others on the same metadata."""

__all__ = [
    "TABLES",
    "ApiKey",
    "AuditEvent",
    "BlocklistedToken",
    "EndReason",
    "ForeignHashMark",
    "OneTimeToken",
    "OutgoingMail",
    "Passkey",
    "PendingLogin",
    "ProviderIdentity",
    "RateLimitCounter",
    "RecoveryCode",
    "Role",
    "Session",
    "Throttle",
    "TotpFactor",
    "UsedChallenge",
    "User",
    "UserKind",
    "UserRole",
    "UserStatus",
]
