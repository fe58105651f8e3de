"""The services: all use cases, wired for one application."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.database.fast_path import FastPath
from authapp.database.migrations import MigrationFolder
from authapp.domain.account_exports import AccountExports
from authapp.domain.account_parts import PartTools, parts_of
from authapp.domain.api_keys.api_keys import ApiKeys
from authapp.domain.api_keys.client_credentials import ClientCredentials
from authapp.domain.api_keys.last_seen_keys import LastSeenKeys
from authapp.domain.api_keys.verification import ApiKeyVerifier
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.core_services import CoreServices, HasAppContext
from authapp.domain.email.services import EmailServices
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.kinds import offered_second_factors
from authapp.domain.factors.services import FactorServices
from authapp.domain.factors.stored_keys import missing_keys_problem
from authapp.domain.health import Health
from authapp.domain.hooks import Hooks
from authapp.domain.imports.imports import Imports
from authapp.domain.mail.services import MailServices
from authapp.domain.own_exports import OwnExports
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.login import PasswordLogin
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.principals import Principals
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.providers.services import ProviderServices
from authapp.domain.pruning import Pruning
from authapp.domain.rate_limits import RateLimits
from authapp.domain.roles.roles import Roles
from authapp.domain.sessions.introspection import Introspection
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.start import NEW_LOGIN
from authapp.domain.sessions.step_ups import StepUps
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.administration import Administration
from authapp.domain.users.erasure import Erasure
from authapp.domain.users.name_keys import NameKeys
from authapp.domain.users.never_verified import never_verified
from authapp.domain.users.search import UserSearch
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.tokens import Tokens
from authapp.shared_names import EXTENSION


class HasExtensions(Protocol):
    """The part of a Flask application that ``Services.of`` uses."""

    extensions: dict[str, Any]


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
    own_exports: OwnExports
    account_exports: AccountExports
    erasure: Erasure
    roles: Roles
    audit: AuditTrail
    rate_limits: RateLimits
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
        actor_policy = ActorPolicy(
            settings.step_up_max_age,
            has_second_factors=bool(offered_second_factors(settings)),
            second_factors_of=lambda user_id: factors_of(user_id).second_factors,
        )
        core = CoreServices.build(settings, fast_path, app, actor_policy)
        tokens, pages, hooks, throttles = core.tokens, core.pages, core.hooks, core.throttles
        policy, verifier, encryption_keys = core.password_policy, core.password_verifier, core.encryption_keys
        must_verify = settings.email_verification == "required"
        principals = Principals(fast_path)
        rate_limits, used_api_keys = RateLimits(settings.rate_limit, fast_path), LastSeenKeys()
        api_key_verifier = ApiKeyVerifier(fast_path, rate_limits, used_api_keys)
        sessions = _sessions(core)
        search, trail = UserSearch(pages), AuditTrail(pages)
        api_keys = ApiKeys(pages, api_key_verifier, actor_policy)
        accounts = Accounts(verifier, policy, hooks, actor_policy, registration_open=settings.registration == "open")
        factors = FactorServices.build(core, sessions)
        mail = MailServices.build(settings, fast_path)
        parts = parts_of(PartTools(settings=settings, encryption_keys=encryption_keys))
        return cls(
            settings=settings,
            fast_path=fast_path,
            hooks=hooks,
            tokens=tokens,
            hasher=core.hasher,
            password_policy=policy,
            password_verifier=verifier,
            password_login=PasswordLogin(verifier, sessions, principals, hooks),
            principals=principals,
            api_keys=api_keys,
            api_key_verifier=api_key_verifier,
            used_api_keys=used_api_keys,
            client_credentials=ClientCredentials(api_key_verifier, tokens),
            sessions=sessions,
            step_ups=StepUps(tokens, factors.step_up_methods.by_name(), refresh_grace=settings.refresh_grace),
            factors=factors,
            introspection=Introspection(tokens, principals, sessions, refresh_retry=_refresh_retry(settings)),
            accounts=accounts,
            administration=Administration(
                accounts,
                policy,
                throttles,
                hooks,
                actor_policy,
                has_mail=settings.mail_url is not None,
            ),
            user_search=search,
            name_keys=NameKeys(),
            imports=Imports(parts),
            own_exports=OwnExports(accounts, sessions, api_keys, trail, rate_limits),
            account_exports=AccountExports(accounts, search, parts),
            erasure=Erasure(hooks),
            roles=Roles(pages, actor_policy.require_recent),
            audit=trail,
            rate_limits=rate_limits,
            mail=mail,
            email=EmailServices.build(core, mail, accounts, sessions),
            providers=ProviderServices.build(core, accounts, sessions, factors.changes),
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


def _refresh_retry(settings: Settings) -> int:
    return max(settings.refresh_grace, settings.refresh_retry)


def _sessions(core: CoreServices) -> Sessions:
    settings = core.settings
    return Sessions(
        core.tokens,
        core.fast_path,
        core.hooks,
        core.pages,
        session_ttl=settings.session_ttl,
        refresh_grace=settings.refresh_grace,
        refresh_retry=_refresh_retry(settings),
        sessions_per_account=settings.sessions_per_account,
        login_mail=NEW_LOGIN if settings.mail_url is not None and settings.mail_new_login == "on" else None,
    )
