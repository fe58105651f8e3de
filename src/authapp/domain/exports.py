"""Exports: what is stored about a user for the user, and all accounts for the operator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.config.rate_limits import EXPORT
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.account_parts import AccountPart
from authapp.domain.api_keys.api_keys import ApiKeys
from authapp.domain.audit import EventType
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.email.previous_addresses import restorable
from authapp.domain.pages import Page
from authapp.domain.rate_limits import RateLimits
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import UserRef
from authapp.domain.users.search import UserSearch
from authapp.errors import ServiceAccount
from authapp.models import ApiKey, User, UserKind
from authapp.registry import Registry
from authapp.security.foreign_hashes import IMPORTED_PREFIX

BATCH = 500

MAX_ITEMS = 200
"""The most items of each list in the export of one's own account. It has cursors for the others.

With 1,000 events, writing the answer held up all other requests of the worker for more than 100 ms.
"""

ExportSection = Callable[[UUID], Any]
"""Takes the id of a user, and returns what a table has of the user, as JSON has it: at most ``MAX_ITEMS`` items."""

export_sections: Registry[ExportSection] = Registry(
    "section of an export",
    r"[a-z][a-z0-9_]{0,39}",
    "use 1 to 40 of a-z, 0-9 and _, such as invoices.",
    reserved={"user", "previous_emails", "factors", "sessions", "api_keys", "activity"},
)
"""Further members of the export of one's own account. Register your own before ``create_app()``."""


@dataclass(frozen=True)
class PreviousEmail:
    """An address that the account had, and until when the link in a mail to it restores it."""

    email: str
    replaced_at: datetime
    restorable_until: datetime


@dataclass(frozen=True)
class OwnExport:
    """What is stored about a user: the account, the newest sessions, API keys and events, and ``export_sections``."""

    user: User
    previous_emails: Sequence[PreviousEmail]
    sessions: Page[Any]
    api_keys: Page[ApiKey]
    activity: Page[Any]
    sections: Mapping[str, Any]


@dataclass(frozen=True)
class ExportedAccount:
    """An account, and the fields of its parts: the secret ones where they were asked for."""

    user: User
    parts: Mapping[str, Any] = field(repr=False)


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
        parts: Mapping[str, AccountPart],
    ) -> None:
        """Take the parts of accounts, by the names of their fields, beside the use cases."""
        self._accounts = accounts
        self._search = search
        self._sessions = sessions
        self._api_keys = api_keys
        self._trail = trail
        self._rate_limits = rate_limits
        self._parts = parts

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
            [
                PreviousEmail(each["email"], *(datetime.fromisoformat(each[name]) for name in ("since", "until")))
                for each in restorable(user)
            ],
            self._sessions.list_live(user_id, MAX_ITEMS),
            self._api_keys.page(user_id, MAX_ITEMS),
            self._trail.activity(user_id, MAX_ITEMS),
            {name: section(user_id) for name, section in export_sections.items()},
        )

    def accounts(self, user: UserRef | None, *, with_secrets: bool = False) -> Iterator[ExportedAccount]:
        """Return one account, or all, in the order of their ids, as they are read.

        Raises ``ServiceAccount`` if ``user`` is one, and ``ResourceNotFound`` if there is no account ``user``. With
        secrets, the iterator raises ``ServiceUnavailable`` if one cannot be decrypted.
        """
        if user is None:
            return self._exported(self._search.iterate_all(), with_secrets)
        account = self._accounts.find(user)
        if account.kind == UserKind.SERVICE:
            raise ServiceAccount("A service account cannot be moved: make another one, with API keys of its own.")
        return self._exported(iter([account]), with_secrets)

    def _exported(self, users: Iterator[User], with_secrets: bool) -> Iterator[ExportedAccount]:
        parts = {name: part for name, part in self._parts.items() if with_secrets or not part.is_secret}
        while batch := list(islice(users, BATCH)):
            ids = [user.id for user in batch]
            found = {name: part.export(ids) for name, part in parts.items()}
            for user in batch:
                yield ExportedAccount(user, {name: of[user.id] for name, of in found.items() if user.id in of})


def import_fields(account: ExportedAccount, *, with_hash: bool) -> dict[str, Any]:
    """Return a person's account in the form of an import."""
    user = account.user
    fields = {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "status": str(user.status),
        "roles": user.roles,
        "created_at": clock.rfc3339(user.created_at),
    }
    if with_hash and user.password_hash is not None:
        fields["password_hash"] = user.password_hash.removeprefix(IMPORTED_PREFIX)
    return {**fields, **account.parts}
