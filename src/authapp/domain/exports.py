"""Exports: what is stored about a user for the user, and all accounts for the operator."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.config.rate_limits import EXPORT
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.api_keys.api_keys import ApiKeys
from authapp.domain.audit import EventType
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.pages import Page
from authapp.domain.rate_limits import RateLimits
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import UserRef
from authapp.domain.users.search import UserSearch
from authapp.errors import ServiceAccount
from authapp.models import ApiKey, User, UserKind
from authapp.security.foreign_hashes import IMPORTED_PREFIX

MAX_ITEMS = 1_000
"""The most items of each list in the export of one's own account. It has cursors for the others."""


@dataclass(frozen=True)
class OwnExport:
    """What is stored about a user: the account, and the newest sessions, API keys and events."""

    user: User
    sessions: Page[Any]
    api_keys: Page[ApiKey]
    activity: Page[Any]


class Exports:
    """The use cases of exports."""

    def __init__(
        self,
        accounts: Accounts,
        search: UserSearch,
        sessions: Sessions,
        api_keys: ApiKeys,
        trail: AuditTrail,
        rate_limits: RateLimits,
    ) -> None:
        self._accounts = accounts
        self._search = search
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
        return OwnExport(
            self._accounts.find(user_id),
            self._sessions.list_live(user_id, MAX_ITEMS),
            self._api_keys.page(user_id, MAX_ITEMS),
            self._trail.activity(user_id, MAX_ITEMS),
        )

    def accounts(self, user: UserRef | None, *, with_hashes: bool) -> Iterator[dict[str, Any] | None]:
        """Return one account, or all, the oldest first, as they are read: the fields of an import.

        Of all accounts, one of a service is ``None``: its API keys cannot be moved. Raises ``ServiceAccount`` if
        ``user`` is one, and ``ResourceNotFound`` if there is no account ``user``.
        """
        if user is None:
            return (_fields(account, with_hashes=with_hashes) for account in self._search.iterate_all())
        fields = _fields(self._accounts.find(user), with_hashes=with_hashes)
        if fields is None:
            raise ServiceAccount("A service account cannot be moved: make another one, with API keys of its own.")
        return iter([fields])


def _fields(user: User, *, with_hashes: bool) -> dict[str, Any] | None:
    if user.kind == UserKind.SERVICE:
        return None
    fields = {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "status": str(user.status),
        "roles": user.roles,
        "created_at": clock.rfc3339(user.created_at),
    }
    if with_hashes and user.password_hash is not None:
        fields["password_hash"] = user.password_hash.removeprefix(IMPORTED_PREFIX)
    return fields
