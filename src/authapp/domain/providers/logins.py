"""Logging in by a provider, which makes an account the first time."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.providers.identities import find_identity, new_identity, shown_email, unique_identity
from authapp.domain.providers.providers import AuthenticatedUser, FlowCompletion, Providers, StartedFlow, record_refusal
from authapp.domain.providers.usernames import free_username
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.rows import unique_names
from authapp.errors import (
    AccountExists,
    EmailNotVerified,
    EmailTaken,
    ProviderAlreadyLinked,
    ProviderLoginFailed,
    Refusal,
    UsernameTaken,
    ValidationFailed,
)
from authapp.models import ProviderIdentity, User, UserStatus

FEDERATED = "fed"
"""The method (``amr``) of such a login: RFC 8176 has no name for it, and this one is in common use."""

_TRIES = 5
"""How often a new account is tried: another request may take its username, or link the same user, meanwhile."""


@dataclass(frozen=True)
class ProviderLogin:
    """A login: its tokens, and whether an account was made for it."""

    pair: TokenPair
    is_new: bool


class _AccountDisabled(Exception):
    """The account of the provider's user is disabled, which the client is not told."""

    def __init__(self, user_id: UUID) -> None:
        super().__init__()
        self.user_id = user_id


class ProviderLogins:
    """The use cases of logins by a provider."""

    def __init__(
        self, providers: Providers, accounts: Accounts, sessions: Sessions, hooks: Hooks, *, must_verify: bool
    ) -> None:
        """With ``must_verify``, no account is made whose address nobody has verified."""
        self._providers = providers
        self._accounts = accounts
        self._sessions = sessions
        self._hooks = hooks
        self._must_verify = must_verify

    def start_login(self, provider: str, redirect_uri: str) -> StartedFlow:
        """Return a new flow. Raises what ``Providers.start_flow`` raises."""
        return self._providers.start_flow(provider, redirect_uri)

    def log_in(self, provider: str, completion: FlowCompletion, context: RequestContext) -> ProviderLogin:
        """Start a session for the account of the provider's user; make the account if there is none.

        The flow is used before the session starts, also if a ``before_session_start`` hook then refuses, for
        example to ask for a second factor.

        Raises what ``Providers.authenticate`` raises; ``AccountExists`` if another account has the address;
        ``RegistrationClosed``, ``EmailNotVerified``; or what a hook raises.
        """
        authenticated = self._providers.authenticate(provider, completion, context)
        user, is_new = self._account_of(authenticated, context)
        if is_new:
            self._accounts.announce(user, context)
        result = AuthenticationResult(user.id, (FEDERATED,), auth_time=clock.now(), account_version=user.updated_at)
        pair = self._sessions.start_or_record(result, context, ProviderLoginFailed(), provider=provider)
        return ProviderLogin(pair, is_new)

    def _account_of(self, authenticated: AuthenticatedUser, context: RequestContext) -> tuple[User, bool]:
        try:
            for _ in range(_TRIES):
                user = self._linked_account(authenticated)
                if user is not None:
                    return user, False
                try:
                    return self._new_account(authenticated, context), True
                except (UsernameTaken, ProviderAlreadyLinked):
                    continue  # another request was faster: look again
            raise ProviderLoginFailed("Other requests were faster.")
        except _AccountDisabled as disabled:
            record_refusal(authenticated.provider.name, "the account is disabled", context, disabled.user_id)
            raise ProviderLoginFailed from None
        except Refusal as refusal:
            record_refusal(authenticated.provider.name, refusal.detail or refusal.code, context)
            raise

    def _linked_account(self, authenticated: AuthenticatedUser) -> User | None:
        """Return the account of the provider's user, if there is one, and use the flow.

        Raises ``_AccountDisabled``, or ``ProviderLoginFailed`` if the flow was used.
        """
        with transaction():
            identity = find_identity(authenticated.provider, authenticated.user)
            if identity is None:
                return None
            user = db.session.get_one(User, identity.user_id, populate_existing=True)
            if user.status != UserStatus.ACTIVE:
                raise _AccountDisabled(user.id)
            authenticated.opened.use()
            identity.last_login_at = clock.now()
            identity.email = shown_email(authenticated.user) or identity.email
        return user

    def _new_account(self, authenticated: AuthenticatedUser, context: RequestContext) -> User:
        """Make an account with the identity, and use the flow.

        Raises ``UsernameTaken`` and ``ProviderAlreadyLinked`` if another request was faster.
        """
        provider, known = authenticated.provider, authenticated.user
        if not known.email:
            raise ProviderLoginFailed("The provider told no email address.")
        user = self._prepared(free_username(known, known.email), known.email, context)
        if provider.trust_email and known.email_verified:
            user.set_verified(clock.now())
        elif self._must_verify:
            # Before the address is looked for: where no account would be made anyway, whoever can write any address
            # into a provider would learn who has one here.
            raise EmailNotVerified
        try:
            with unique_names(), unique_identity(ProviderAlreadyLinked), transaction():
                authenticated.opened.use()
                self._accounts.store(user, context)
                db.session.flush()
                identity = new_identity(user.id, provider, known)
                identity.last_login_at = clock.now()
                db.session.add(identity)
                details: dict[str, Any] = {"provider": provider.name, "issuer": provider.issuer}
                audit.record(
                    EventType.PROVIDER_LINKED, context=context, subject_id=user.id, actor_id=user.id, **details
                )
        except EmailTaken:
            raise _refusal_of(authenticated) from None
        return user

    def _prepared(self, username: str, email: str, context: RequestContext) -> User:
        try:
            return self._accounts.prepare(username=username, email=email, password=None, context=context)
        except ValidationFailed:
            raise ProviderLoginFailed("The provider told no usable email address.") from None


def _refusal_of(authenticated: AuthenticatedUser) -> Refusal:
    """Return why the address is taken: by another login of the same user at the same moment, or by somebody else."""
    with transaction():
        identity: ProviderIdentity | None = find_identity(authenticated.provider, authenticated.user)
    return AccountExists() if identity is None else ProviderAlreadyLinked()
