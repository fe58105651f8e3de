"""The use cases of API keys: making, listing and deleting them."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, true

from authapp import clock
from authapp.context import Operator, Principal, RequestContext
from authapp.database.keyset import IndexRange
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.api_keys.verification import ApiKeyVerifier
from authapp.domain.audit import EventType
from authapp.domain.hooks import credentials_voiding
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.principals.recent import ActorPolicy, require_login
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.roles.grants import GrantPolicy
from authapp.domain.roles.permissions import SCOPE_MAX_LENGTH, scope_of, unknown_permissions
from authapp.domain.users.rows import UserRef, lock_managed, lock_own, refers_to, require_found
from authapp.errors import Conflict, FieldError, PermissionDenied, ResourceNotFound, ValidationFailed
from authapp.models import ApiKey, User, UserKind
from authapp.models.api_key import API_KEYS_PER_ACCOUNT, ROWS_PER_ACCOUNT, checked_key_name
from authapp.security import api_keys, identifiers

KEPT_AFTER_EXPIRY = timedelta(days=30)
"""How long an expired key is listed, so that its owner sees why a program is refused. Then it is pruned.

A new key takes the place of the one that expired first, if the account has ``ROWS_PER_ACCOUNT``.
"""

prunables.register("api_keys", Prunable("api_keys", ApiKey.expires_at, kept_for=KEPT_AFTER_EXPIRY))


class TooManyApiKeys(Conflict):
    """The account has as many API keys as it may have: 50, without those that have expired.

    Delete one first.
    """

    code = "too_many_api_keys"
    title = "There are too many API keys."


@dataclass(frozen=True, kw_only=True)
class ApiKeyRequest:
    """What a new key is to be. ``permissions`` are ``None`` for all that its owner's roles have."""

    name: str
    permissions: Collection[str] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class NewApiKey:
    """A new key, and its text ``secret``, which is nowhere else."""

    row: ApiKey
    secret: str


class ApiKeys:
    """The use cases of API keys."""

    def __init__(self, pages: Pages, verifier: ApiKeyVerifier, actor_policy: ActorPolicy) -> None:
        self._pages = pages
        self._verifier = verifier
        self._actor_policy = actor_policy

    def connect(self, app: object) -> None:
        """Whenever an owner gets an account of ``app`` back, delete the keys that somebody else may have made of it."""
        credentials_voiding.connect(_delete_made_since, sender=app)

    def create_own(self, user_id: UUID, wanted: ApiKeyRequest, context: RequestContext) -> NewApiKey:
        """Make a key of the user's own account.

        Raises ``TooManyApiKeys``, ``ValidationFailed``, ``PermissionDenied`` for a permission that the principal lacks
        or a credential without a session, ``TokenRevoked``, or what ``require_proven_factor`` raises.
        """
        # A key makes no key: otherwise a stolen one would outlive its deletion.
        require_login(context)
        with transaction():
            user = lock_own(user_id, context)
            # A key outlives the session, and is never asked for a factor.
            self._actor_policy.require_proven_factor(user_id, context)
            return _create(user, wanted, context)

    def create_for(self, ref: UserRef, wanted: ApiKeyRequest, context: RequestContext) -> NewApiKey:
        """Make a key of a service account; for an operator, of any account.

        Raises ``ResourceNotFound``, what ``create_own`` raises, and ``PermissionDenied`` for the account of a person or
        one with permissions that the principal lacks.
        """
        require_login(context)
        with transaction():
            if isinstance(context.principal, Principal):
                self._actor_policy.require_proven_factor(context.principal.id, context)
            user = lock_managed(ref, context)
            # Whoever made it would act in the name of that person.
            if user.kind != UserKind.SERVICE and not isinstance(context.principal, Operator):
                raise PermissionDenied("This is the account of a person, who makes the keys of it.")
            return _create(user, wanted, context)

    def page(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[ApiKey]:
        """Return a page of the keys of an account, newest first.

        Raises ``ValidationFailed`` for a cursor that is not from this list.
        """
        keys = IndexRange(rows=select(ApiKey), fixed={ApiKey.user_id: user_id}, order=(ApiKey.id,))
        return self._pages.page(Listing("api_keys", {"user_id": user_id}, {"id": UUID}), [keys], limit, cursor)

    def page_of(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[ApiKey]:
        """Do the same for the account of another. Raises ``ResourceNotFound`` as well."""
        require_found(db.session.get(User, user_id), user_id)
        return self.page(user_id, limit, cursor)

    def iterate_all(self, ref: UserRef) -> Iterator[ApiKey]:
        """Return the keys of an account, oldest first. Raises ``ResourceNotFound``."""
        user = require_found(db.session.scalars(select(User).where(refers_to(ref))).one_or_none(), ref)
        return iter(db.session.scalars(select(ApiKey).where(ApiKey.user_id == user.id).order_by(ApiKey.id)))

    def delete_own(self, user_id: UUID, key_id: UUID, context: RequestContext) -> None:
        """Delete a key of the user's own account. It is refused from the next request on.

        Raises ``ResourceNotFound`` if it is another user's, or ``TokenRevoked``.
        """
        with transaction():
            _delete_key(lock_own(user_id, context).id, key_id, context)

    def delete_presented(self, key: str, user_id: UUID, context: RequestContext) -> None:
        """Delete the key with this text, if it is one of the user's own (RFC 7009, section 2.1)."""
        found = self._verifier.find_even_if_refused(key)
        if found is not None and found.principal.id == user_id:
            with suppress(ResourceNotFound):
                self.delete_own(user_id, found.id, context)

    def delete(self, ref: UserRef, key_id: UUID, context: RequestContext) -> None:
        """Delete a key of an account, of whatever kind.

        Raises ``ResourceNotFound``, or ``PermissionDenied`` if the account has permissions that the principal lacks.
        """
        with transaction():
            _delete_key(lock_managed(ref, context).id, key_id, context)

    def delete_all(self, ref: UserRef, context: RequestContext) -> int:
        """Delete all keys of an account, and return their number. Raises what ``delete`` raises."""
        with transaction():
            return _delete_all(lock_managed(ref, context).id, context)


def _create(user: User, wanted: ApiKeyRequest, context: RequestContext) -> NewApiKey:
    now = clock.now()
    permissions = _checked(wanted, now)
    GrantPolicy.of(context).require_permissions(permissions or ())
    _make_room(user.id, now)
    key_id = identifiers.time_ordered()
    secret = api_keys.generate(user.id, key_id)
    row = ApiKey(
        user_id=user.id,
        id=key_id,
        secret_hash=api_keys.hash_of(secret),
        prefix=api_keys.prefix_of(user.id, key_id),
        name=wanted.name,
        permissions=permissions,
        created_at=now,
        created_by=context.actor_id,
        last_used_at=None,
        expires_at=wanted.expires_at,
    )
    db.session.add(row)
    limits: dict[str, Any] = {"permissions": permissions, "expires_at": clock.rfc3339(wanted.expires_at)}
    _record(EventType.API_KEY_CREATED, row, context, **limits)
    return NewApiKey(row, secret)


def _make_room(user_id: UUID, now: datetime) -> None:
    """Let the locked account have one more key. Raises ``TooManyApiKeys``."""
    has_expired = ApiKey.expires_at <= now
    expired = func.count().filter(has_expired).label("expired")
    kept = db.session.execute(select(func.count().label("rows"), expired).where(ApiKey.user_id == user_id)).one()
    if kept.rows - kept.expired >= API_KEYS_PER_ACCOUNT:
        raise TooManyApiKeys
    if kept.rows >= ROWS_PER_ACCOUNT:
        of_user = select(ApiKey.id).where(ApiKey.user_id == user_id, has_expired).order_by(ApiKey.expires_at)
        first = of_user.limit(1).scalar_subquery()
        db.session.execute(delete(ApiKey).where(ApiKey.user_id == user_id, ApiKey.id == first))


def _checked(wanted: ApiKeyRequest, now: datetime) -> list[str] | None:
    """Return the permissions, sorted. Raises ``ValidationFailed``, which lists the invalid fields."""
    errors, permissions = [], {str(permission) for permission in wanted.permissions or ()}
    try:
        checked_key_name(wanted.name)
    except ValueError as error:
        errors.append(FieldError("#/name", str(error)))
    if wanted.expires_at is not None and wanted.expires_at <= now:
        errors.append(FieldError("#/expires_at", "It is in the past."))
    errors += unknown_permissions(wanted.permissions or ())
    if len(scope_of(permissions)) > SCOPE_MAX_LENGTH:
        # They are the scope of its tokens.
        sentence = f"They have more than {SCOPE_MAX_LENGTH} characters, with blanks between."
        errors.append(FieldError("#/permissions", sentence))
    if errors:
        raise ValidationFailed(field_errors=errors[:20])
    return None if wanted.permissions is None else sorted(permissions)


def _delete_key(user_id: UUID, key_id: UUID, context: RequestContext) -> None:
    deleted = delete(ApiKey).where(ApiKey.user_id == user_id, ApiKey.id == key_id).returning(ApiKey)
    row = db.session.scalars(deleted.execution_options(synchronize_session=False)).one_or_none()
    if row is None:
        raise ResourceNotFound
    _record(EventType.API_KEY_REVOKED, row, context)


def _record(event: str, row: ApiKey, context: RequestContext, **details: Any) -> None:
    audit.record(event, context=context, subject_id=row.user_id, **_details(row), **details)


def _details(row: ApiKey) -> dict[str, Any]:
    return {"api_key_id": str(row.id), "name": row.name}


def _delete_made_since(
    _app: object, *, user_id: UUID, context: RequestContext, since: datetime | None, **_: object
) -> None:
    _delete_all(user_id, context, since=since)


def _delete_all(user_id: UUID, context: RequestContext, *, since: datetime | None = None) -> int:
    """Delete the keys of an account, or those made after ``since``; return their number."""
    made = ApiKey.created_at > since if since is not None else true()
    deleted = delete(ApiKey).where(ApiKey.user_id == user_id, made).returning(ApiKey)
    rows = db.session.scalars(deleted.execution_options(synchronize_session=False)).all()
    audit.record_many(EventType.API_KEY_REVOKED, [(row.user_id, _details(row)) for row in rows], context)
    return len(rows)
