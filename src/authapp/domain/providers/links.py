"""Linking one's own account with a user of a provider, and unlinking it."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.providers.identities import PROVIDER, find_identity, new_identity, unique_identity
from authapp.domain.providers.providers import FlowCompletion, Providers, StartedFlow
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import PermissionDenied, ProviderAlreadyLinked, ResourceNotFound
from authapp.models import ProviderIdentity


class ProviderLinks:
    """The use cases of the user's own identities."""

    def __init__(self, providers: Providers, changes: FactorChanges) -> None:
        self._providers = providers
        self._changes = changes

    def start_link(self, user_id: UUID, provider: str, redirect_uri: str, context: RequestContext) -> StartedFlow:
        """Return a flow that links the account in this session.

        Raises ``ProviderAlreadyLinked``, and what ``FactorChanges.by_owner`` and ``Providers.start_flow`` raise.
        """
        self._require_linkable(user_id, provider, context)
        return self._providers.start_flow(provider, redirect_uri, _session_of(context))

    def complete(
        self,
        user_id: UUID,
        provider: str,
        completion: FlowCompletion,
        context: RequestContext,
        *,
        scope: LogoutScope | None,
    ) -> ProviderIdentity:
        """Link the account with the provider's user. The sessions that ``scope`` selects end.

        Raises ``ProviderAlreadyLinked``, and what ``FactorChanges.by_owner`` and ``Providers.authenticate`` raise.
        """
        self._require_linkable(user_id, provider, context)  # before the provider is asked for anything
        authenticated = self._providers.authenticate(provider, completion, context, _session_of(context))
        with unique_identity(ProviderAlreadyLinked), self._changes.by_owner(user_id, context) as change:
            authenticated.opened.use()
            _require_unlinked(user_id, provider)
            if find_identity(authenticated.provider, authenticated.user) is not None:
                raise ProviderAlreadyLinked
            identity = new_identity(user_id, authenticated.provider, authenticated.user)
            db.session.add(identity)
            db.session.flush()
            change.record_added(PROVIDER, context, scope=scope, provider=provider)
            details: dict[str, Any] = {"provider": provider, "issuer": authenticated.provider.issuer}
            audit.record(EventType.PROVIDER_LINKED, context=context, subject_id=user_id, **details)
        return identity

    def _require_linkable(self, user_id: UUID, provider: str, context: RequestContext) -> None:
        self._providers.find(provider)
        with self._changes.by_owner(user_id, context):
            _require_unlinked(user_id, provider)

    def delete(self, user_id: UUID, provider: str, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Unlink the account, also from a provider that is no longer configured. What ``scope`` selects ends.

        Raises ``ResourceNotFound``, ``LastWayIn``, or what ``FactorChanges.by_owner`` raises.
        """
        with self._changes.by_owner(user_id, context) as change:
            identity = _identity(user_id, provider)
            if identity is None:
                raise ResourceNotFound
            db.session.delete(identity)
            change.record_removed(PROVIDER, context, scope=scope, provider=provider)
            details: dict[str, Any] = {"provider": provider, "issuer": identity.issuer}
            audit.record(EventType.PROVIDER_UNLINKED, context=context, subject_id=user_id, **details)


def _require_unlinked(user_id: UUID, provider: str) -> None:
    if _identity(user_id, provider) is not None:
        raise ProviderAlreadyLinked


def _identity(user_id: UUID, provider: str) -> ProviderIdentity | None:
    if not provider.isprintable():
        return None  # no provider has such a name, and PostgreSQL stores no NUL
    which = (ProviderIdentity.user_id == user_id, ProviderIdentity.provider == provider)
    return db.session.scalars(select(ProviderIdentity).where(*which)).one_or_none()


def _session_of(context: RequestContext) -> UUID:
    if context.session_id is None:
        raise PermissionDenied("A provider is linked in a session.")
    return context.session_id
