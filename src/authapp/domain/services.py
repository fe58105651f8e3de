"""The services: all use cases, wired for one application."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.database.fast_path import FastPath
from authapp.database.migrations import MigrationFolder
from authapp.domain.api_keys.api_keys import ApiKeys
from authapp.domain.api_keys.client_credentials import ClientCredentials
from authapp.domain.api_keys.last_seen_keys import LastSeenKeys
from authapp.domain.api_keys.verification import ApiKeyVerifier
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.email.kinds import NEW_LOGIN
from authapp.domain.email.services import EmailServices
from authapp.domain.exports import Exports
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.kinds import offered_second_factors
from authapp.domain.factors.services import FactorServices
from authapp.domain.factors.stored_keys import missing_keys_problem
from authapp.domain.health import Health
from authapp.domain.hooks import Hooks
from authapp.domain.imports.imports import Imports
from authapp.domain.mail.services import MailServices
from authapp.domain.one_time_tokens import OneTimeTokens
from authapp.domain.pages import Pages
from authapp.domain.passwords.breached import breached_passwords
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.login import PasswordLogin
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.passwords.response_floor import ResponseFloor
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.principals import Principals
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.providers.services import ProviderServices
from authapp.domain.pruning import Pruning
from authapp.domain.rate_limits import RateLimits
from authapp.domain.roles.roles import Roles
from authapp.domain.sessions.introspection import Introspection
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.step_up import StepUps
from authapp.domain.throttles import Throttles
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.administration import Administration
from authapp.domain.users.erasure import Erasure
from authapp.domain.users.name_keys import NameKeys
from authapp.domain.users.never_verified import never_verified
from authapp.domain.users.search import UserSearch
from authapp.security.bulkhead import Bulkhead
from authapp.security.cursors import Cursors
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import InvalidKey, KeyRing
from authapp.security.passwords import Passwords
from authapp.security.signed_challenges import SignedChallenges
from authapp.security.tokens import TokenRules, Tokens
from authapp.shared_names import EXTENSION


class HasExtensions(Protocol):
    """The part of a Flask application that ``Services.of`` uses."""

    extensions: dict[str, Any]


class HasAppContext(Protocol):
    """The part of a Flask application that ``Services.build`` uses."""

    def app_context(self) -> AbstractContextManager[Any]:
        """Open an application context."""


@dataclass(frozen=True)
class Services:
    """All use cases, bound to the settings and the database of one application."""

    settings: Settings
    fast_path: FastPath
    hooks: Hooks
    tokens: Tokens
    hasher: PasswordHasher
    password_policy: PasswordPolicy
    password_verifier: PasswordVerifier
    password_login: PasswordLogin
    principals: Principals
    api_keys: ApiKeys
    api_key_verifier: ApiKeyVerifier
    used_api_keys: LastSeenKeys
    client_credentials: ClientCredentials
    sessions: Sessions
    step_ups: StepUps
    factors: FactorServices
    introspection: Introspection
    accounts: Accounts
    administration: Administration
    user_search: UserSearch
    name_keys: NameKeys
    imports: Imports
    exports: Exports
    erasure: Erasure
    roles: Roles
    audit: AuditTrail
    rate_limits: RateLimits
    one_time_tokens: OneTimeTokens
    mail: MailServices
    email: EmailServices
    providers: ProviderServices
    encryption_keys: EncryptionKeys | None
    pruning: Pruning
    health: Health

    @classmethod
    def build(
        cls, settings: Settings, fast_path: FastPath, app: HasAppContext, migrations: Sequence[MigrationFolder]
    ) -> Self:
        """Create the use cases.

        Raises ``authapp.security.keys.InvalidKey``, with the name of the setting, if the keys cannot be used.
        """
        keys = _key_ring(settings)
        encryption_keys = _encryption_keys(settings, keys)
        tokens, pages, hooks = Tokens(keys, _rules(settings)), Pages(Cursors(keys)), Hooks(app)
        hasher, policy = _hasher(settings), PasswordPolicy(breached_passwords(settings.breached_passwords))
        throttles = Throttles(
            fast_path, free_failures=settings.login_failures_per_account, max_failures=settings.login_failures_max
        )
        must_verify = settings.email_verification == "required"
        verifier = PasswordVerifier(
            hasher,
            throttles,
            fast_path,
            verified_addresses=must_verify,
            floor=ResponseFloor(settings.login_floor_ms / 1000),
        )
        principals, one_time_tokens = Principals(fast_path), OneTimeTokens()
        rate_limits, used_api_keys = RateLimits(settings.rate_limit, fast_path), LastSeenKeys()
        api_key_verifier = ApiKeyVerifier(fast_path, rate_limits, used_api_keys)
        sessions = _sessions(settings, tokens, fast_path, hooks, pages)
        search, trail = UserSearch(pages), AuditTrail(pages)
        actor_policy = ActorPolicy(
            settings.step_up_max_age,
            has_second_factors=bool(offered_second_factors(settings)),
            second_factors_of=lambda user_id: factors_of(user_id).second_factors,
        )
        api_keys = ApiKeys(pages, api_key_verifier, actor_policy)
        accounts = Accounts(
            verifier, policy, hasher, hooks, actor_policy, registration_open=settings.registration == "open"
        )
        factors = FactorServices.build(
            settings, keys, encryption_keys, verifier, sessions, throttles, actor_policy, hooks
        )
        mail = MailServices.build(settings, fast_path, one_time_tokens)
        email = EmailServices.build(
            settings,
            mail,
            one_time_tokens,
            hooks,
            accounts,
            verifier,
            actor_policy=actor_policy,
            policy=policy,
            hasher=hasher,
            throttles=throttles,
            sessions=sessions,
            factor_resets=factors.resets,
        )
        return cls(
            settings=settings,
            fast_path=fast_path,
            hooks=hooks,
            tokens=tokens,
            hasher=hasher,
            password_policy=policy,
            password_verifier=verifier,
            password_login=PasswordLogin(verifier, sessions, principals, hooks),
            principals=principals,
            api_keys=api_keys,
            api_key_verifier=api_key_verifier,
            used_api_keys=used_api_keys,
            client_credentials=ClientCredentials(api_key_verifier, tokens),
            sessions=sessions,
            step_ups=StepUps(
                tokens,
                {
                    "password": factors.second_factors.reauthenticate_by_password,
                    "code": factors.second_factors.reauthenticate_by_code,
                    "credential": factors.passkey_login.reauthenticate,
                },
            ),
            factors=factors,
            introspection=Introspection(tokens, principals, sessions, refresh_retry=_refresh_retry(settings)),
            accounts=accounts,
            administration=Administration(
                accounts,
                policy,
                hasher,
                throttles,
                hooks,
                actor_policy,
                has_mail=settings.mail_url is not None,
            ),
            user_search=search,
            name_keys=NameKeys(),
            imports=Imports(factors.totp_factors),
            exports=Exports(accounts, search, sessions, api_keys, trail, rate_limits),
            erasure=Erasure(hooks),
            roles=Roles(pages, actor_policy.require_recent),
            audit=trail,
            rate_limits=rate_limits,
            one_time_tokens=one_time_tokens,
            mail=mail,
            email=email,
            providers=ProviderServices.build(
                settings, SignedChallenges(keys), accounts, sessions, factors.changes, hooks
            ),
            encryption_keys=encryption_keys,
            pruning=Pruning(
                leeway=settings.leeway,
                others=[
                    throttles.prunable(),
                    *(never_verified(settings.unverified_account_days) if must_verify else ()),
                ],
            ),
            health=Health(
                migrations, app.app_context, {"encryption_keys": partial(missing_keys_problem, encryption_keys)}
            ),
        )

    def connect(self, app: object) -> None:
        """Connect the receivers of hooks to ``app``.

        Second factors are asked for whether or not their routes are there: an account that has one needs it.
        """
        self.factors.connect(app)
        self.api_keys.connect(app)
        if self.settings.mail_url is not None:
            self.email.connect(app)

    @classmethod
    def of(cls, app: HasExtensions) -> Self:
        """Return the services of ``app``."""
        services: Self = app.extensions[EXTENSION].services
        return services


def _key_ring(settings: Settings) -> KeyRing:
    try:
        return KeyRing.from_json(settings.jwt_keys)
    except InvalidKey as error:
        raise InvalidKey(f"AUTHAPP_JWT_KEYS: {error}") from None


def _encryption_keys(settings: Settings, signing: KeyRing) -> EncryptionKeys | None:
    if settings.encryption_keys is None:
        return None
    try:
        return EncryptionKeys.from_json(settings.encryption_keys, reserved={key.kid for key in signing})
    except InvalidKey as error:
        raise InvalidKey(f"AUTHAPP_ENCRYPTION_KEYS: {error}") from None


def _rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.issuer,
        audience=settings.audience,
        access_ttl=settings.access_token_ttl,
        refresh_ttl=settings.refresh_token_ttl,
        leeway=settings.leeway,
    )


def _refresh_retry(settings: Settings) -> int:
    return max(settings.refresh_grace, settings.refresh_retry)


def _hasher(settings: Settings) -> PasswordHasher:
    passwords = Passwords(memory_kib=settings.argon2_memory_kib, time_cost=settings.argon2_time_cost)
    bulkhead = Bulkhead(
        concurrency=settings.hashing_concurrency,
        longest_wait=settings.hashing_queue_seconds,
        seconds=passwords.seconds,
    )
    return PasswordHasher(passwords, bulkhead)


def _sessions(settings: Settings, tokens: Tokens, fast_path: FastPath, hooks: Hooks, pages: Pages) -> Sessions:
    return Sessions(
        tokens,
        fast_path,
        hooks,
        pages,
        session_ttl=settings.session_ttl,
        refresh_grace=settings.refresh_grace,
        refresh_retry=_refresh_retry(settings),
        sessions_per_account=settings.sessions_per_account,
        login_mail=NEW_LOGIN if settings.mail_url is not None and settings.mail_new_login == "on" else None,
    )
