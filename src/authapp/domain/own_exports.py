"""Exports of one's own account: what is stored about a user, for the user."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp.config.rate_limits import EXPORT
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.api_keys.api_keys import ApiKeys
from authapp.domain.audit import EventType
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.email.previous_addresses import PreviousEmail, previous_emails
from authapp.domain.factors.enrolled import shown_factors
from authapp.domain.pages import Page
from authapp.domain.rate_limits import RateLimits
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.users.accounts import Accounts
from authapp.models import ApiKey, User
from authapp.registry import Registry

EXPORT_MAX_ITEMS = 200
"""The most items of each list in the export of one's own account; our lists have cursors for the others.

With 1,000 events, writing the answer held up all other requests of the worker for more than 100 ms.
"""

ExportSection = Callable[[UUID], Any]
"""Takes the id of a user, and returns what is stored about the user, as data for JSON: ``EXPORT_MAX_ITEMS`` at most."""

export_sections: Registry[ExportSection] = Registry(
    "section of an export",
    r"[a-z][a-z0-9_]{0,39}",
    "use 1 to 40 of a-z, 0-9 and _, such as invoices.",
    reserved={"user", "previous_emails", "factors", "sessions", "api_keys", "activity"},
)
"""Further members of the export of one's own account. Register your own before ``create_app()``."""


@dataclass(frozen=True)
class OwnExport:
    """What is stored about a user: the newest of each list, factors without secrets, and ``export_sections``."""

    user: User
    previous_emails: Sequence[PreviousEmail]
    factors: Mapping[str, Any]
    sessions: Page[Any]
    api_keys: Page[ApiKey]
    activity: Page[Any]
    sections: Mapping[str, Any]


class OwnExports:
    """The use case of exporting one's own account."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, api_keys: ApiKeys, trail: AuditTrail, rate_limits: RateLimits
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._api_keys = api_keys
        self._trail = trail
        self._rate_limits = rate_limits

    def of_user(self, user_id: UUID, context: RequestContext) -> OwnExport:
        """Return what is stored about a user, for the user; the export is recorded.

        Raises ``TooManyRequests`` if the account was exported too often, or ``ResourceNotFound``.
        """
        self._rate_limits.charge_key(EXPORT, f"user:{user_id}")
        with transaction():
            audit.record(EventType.USER_EXPORTED, context=context, subject_id=user_id)
        user = self._accounts.find(user_id)
        return OwnExport(
            user,
            previous_emails(user),
            shown_factors(user_id),
            self._sessions.list_live(user_id, EXPORT_MAX_ITEMS),
            self._api_keys.page(user_id, EXPORT_MAX_ITEMS),
            self._trail.activity(user_id, EXPORT_MAX_ITEMS),
            {name: section(user_id) for name, section in export_sections.items()},
        )
