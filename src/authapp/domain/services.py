"""The services: all use cases, wired for one application."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.database.fast_path import FastPath
from authapp.database.migrations import MigrationFolder
from authapp.domain.audit.trail import AuditTrail
from authapp.domain.email.address_changes import AddressChanges
from authapp.domain.email.address_undo import AddressUndo
from authapp.domain.email.confirmations import Confirm, EmailConfirmations, without_password
from authapp.domain.email.delivery import MailDelivery
from authapp.domain.email.email_verifications import EmailVerifications
from authapp.domain.email.forced_resets import ForcedResets
from authapp.domain.email.login_links import LoginLinks
from authapp.domain.email.notices import Notices
from authapp.domain.email.outbox import Outbox
from authapp.domain.email.password_resets import PasswordResets
from authapp.domain.email.requests import MailRequests
from authapp.domain.email.verified_registrations import VerifiedRegistrations
from authapp.domain.email.wiring import mail_delivery
from authapp.domain.health import Health
from authapp.domain.hooks import Hooks
from authapp.domain.one_time_tokens import OneTimeTokens
from authapp.domain.pages import Pages
from authapp.domain.passwords.breached import breached_passwords
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.login import PasswordLogin
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.passwords.throttles import LoginThrottles
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.principals import Principals
from authapp.domain.pruning import Pruning
from authapp.domain.rate_limits import RateLimits
from authapp.domain.roles.roles import Roles
from authapp.domain.sessions.introspection import Introspection
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.step_up import StepUps
from authapp.domain.token_purposes import TokenPurpose
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.administration import Administration
from authapp.domain.users.name_keys import NameKeys
from authapp.domain.users.search import UserSearch
from authapp.security.bulkhead import Bulkhead
from authapp.security.cursors import Cursors
from authapp.security.keys import KeyRing
from authapp.security.passwords import Passwords
from authapp.security.tokens import TokenRules, Tokens

EXTENSION = "authapp"


class HasExtensions(Protocol):
    """The part of a Flask application that is used here."""

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
    sessions: Sessions
    step_ups: StepUps
    introspection: Introspection
    accounts: Accounts
    administration: Administration
    user_search: UserSearch
    name_keys: NameKeys
    roles: Roles
    audit: AuditTrail
    rate_limits: RateLimits
    one_time_tokens: OneTimeTokens
    outbox: Outbox
    mail_requests: MailRequests
    address_changes: AddressChanges
    address_undo: AddressUndo
    forced_resets: ForcedResets
    login_links: LoginLinks
    notices: Notices
    verified_registrations: VerifiedRegistrations
    password_resets: PasswordResets
    email_verifications: EmailVerifications
    email_confirmations: EmailConfirmations
    mail_delivery: MailDelivery | None
    pruning: Pruning
    health: Health

    @classmethod
    def build(cls, settings: Settings, fast_path: FastPath, app: object, migrations: Sequence[MigrationFolder]) -> Self:
        """Create the use cases. Raises ``authapp.security.keys.InvalidKey`` if the keys cannot be used."""
        keys = KeyRing.from_json(settings.jwt_keys)
        tokens, pages, hooks = Tokens(keys, _rules(settings)), Pages(Cursors(keys)), Hooks(app)
        passwords = Passwords(memory_kib=settings.argon2_memory_kib, time_cost=settings.argon2_time_cost)
        bulkhead = Bulkhead(
            concurrency=settings.hashing_concurrency,
            longest_wait=settings.hashing_queue_seconds,
            seconds=passwords.seconds,
        )
        hasher = PasswordHasher(passwords, bulkhead)
        throttles = LoginThrottles(
            fast_path, free_failures=settings.login_failures_per_account, max_failures=settings.login_failures_max
        )
        verifier, principals = PasswordVerifier(hasher, throttles, fast_path), Principals(fast_path)
        grace = max(settings.refresh_grace, settings.refresh_retry)
        sessions = Sessions(
            tokens,
            fast_path,
            hooks,
            pages,
            session_ttl=settings.session_ttl,
            refresh_grace=grace,
            sessions_per_account=settings.sessions_per_account,
        )
        policy = PasswordPolicy(breached_passwords(settings.breached_passwords))
        one_time_tokens, outbox = OneTimeTokens(), Outbox()
        mail_requests = MailRequests(fast_path, settings.mail_rate_limit)
        accounts = Accounts(verifier, policy, hasher, hooks, registration_open=settings.registration == "open")
        address_changes = AddressChanges(verifier, one_time_tokens, mail_requests, outbox, hooks)
        address_undo = AddressUndo(one_time_tokens, hooks)
        verifications = EmailVerifications(
            mail_requests, one_time_tokens, verifier, hooks, required=settings.email_verification == "required"
        )
        handlers: dict[str, Confirm] = {
            TokenPurpose.VERIFY_EMAIL: verifications.confirm,
            TokenPurpose.CHANGE_EMAIL: address_changes.confirm,
            TokenPurpose.UNDO_EMAIL: without_password(address_undo.confirm),
        }
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
            sessions=sessions,
            step_ups=StepUps(tokens, {"password": verifier.reauthenticate}),
            introspection=Introspection(tokens, principals, sessions, refresh_grace=grace),
            accounts=accounts,
            administration=Administration(
                accounts,
                policy,
                hasher,
                throttles,
                hooks,
                step_up_max_age=settings.step_up_max_age,
                has_mail=settings.mail_url is not None,
            ),
            user_search=UserSearch(pages),
            name_keys=NameKeys(),
            roles=Roles(pages),
            audit=AuditTrail(pages),
            rate_limits=RateLimits(settings.rate_limit, fast_path),
            one_time_tokens=one_time_tokens,
            outbox=outbox,
            mail_requests=mail_requests,
            address_changes=address_changes,
            address_undo=address_undo,
            forced_resets=ForcedResets(throttles, hooks),
            login_links=LoginLinks(mail_requests, one_time_tokens, throttles, sessions, hooks),
            notices=Notices(
                outbox,
                mail_requests,
                verification=settings.email_verification,
                new_login=settings.mail_new_login == "on",
            ),
            verified_registrations=VerifiedRegistrations(accounts, mail_requests),
            password_resets=PasswordResets(mail_requests, outbox, one_time_tokens, policy, hasher, throttles, hooks),
            email_verifications=verifications,
            email_confirmations=EmailConfirmations(one_time_tokens, handlers),
            mail_delivery=mail_delivery(settings, outbox, one_time_tokens, fast_path),
            pruning=Pruning(leeway=settings.leeway),
            health=Health(migrations),
        )

    def connect_mail(self, app: object) -> None:
        """Connect what mail does when accounts change, for an application that has mail."""
        self.notices.connect(app)
        self.email_verifications.connect(app)

    @classmethod
    def of(cls, app: HasExtensions) -> Self:
        """Return the services of ``app``."""
        services: Self = app.extensions[EXTENSION].services
        return services


def _rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.issuer,
        audience=settings.audience,
        access_ttl=settings.access_token_ttl,
        refresh_ttl=settings.refresh_token_ttl,
        leeway=settings.leeway,
    )
