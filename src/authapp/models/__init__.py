"""The tables, and the rules that concern one row; nothing here commits."""

from authapp.models.audit_event import AuditEvent, EventType
from authapp.models.blocklisted_token import BlocklistedToken
from authapp.models.limits import AddressLimit, LoginThrottle, Purpose
from authapp.models.role import Role, UserRole
from authapp.models.session import EndReason, Session
from authapp.models.user import User, UserStatus

SCHEMA_REVISION = "0003"
"""The migration that these tables need. ``/health/ready`` compares the database with it."""

__all__ = [
    "SCHEMA_REVISION",
    "AddressLimit",
    "AuditEvent",
    "BlocklistedToken",
    "EndReason",
    "EventType",
    "LoginThrottle",
    "Purpose",
    "Role",
    "Session",
    "User",
    "UserRole",
    "UserStatus",
]
