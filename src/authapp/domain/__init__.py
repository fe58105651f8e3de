"""The use cases. They own the transaction, refuse by name, and know nothing of HTTP."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.domain.accounts import Accounts
from authapp.domain.address_limits import AddressLimits, LimitName
from authapp.domain.administration import Administration
from authapp.domain.audit import Audit
from authapp.domain.checkup import Checkup
from authapp.domain.credentials import Credentials
from authapp.domain.directory import Directory
from authapp.domain.health import Health
from authapp.domain.inspection import Inspection
from authapp.domain.pages import Pages
from authapp.domain.pruning import Pruning
from authapp.domain.roles import Roles
from authapp.domain.sessions import Sessions
from authapp.domain.throttles import LoginThrottles
from authapp.security.bulkhead import Bulkhead
from authapp.security.cursors import Cursors
from authapp.security.keys import KeyRing
from authapp.security.passwords import Passwords
from authapp.security.tokens import TokenRules, Tokens


class Application(Protocol):
    """What is asked of a Flask application here: a place to keep things."""

    extensions: dict[str, Any]


@dataclass(frozen=True)
class UseCases:
    """Every use case, bound to one application's settings."""

    credentials: Credentials
    accounts: Accounts
    administration: Administration
    directory: Directory
    roles: Roles
    sessions: Sessions
    audit: Audit
    address_limits: AddressLimits
    pruning: Pruning
    health: Health
    inspection: Inspection
    tokens: Tokens
    checkup: Checkup

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Wire the use cases. Raises ``authapp.security.keys.InvalidKey`` when the keys cannot be used."""
        passwords = Passwords(memory_kib=settings.argon2_memory_kib, time_cost=settings.argon2_time_cost)
        rules = TokenRules(
            issuer=settings.issuer,
            audience=settings.audience,
            access_ttl=settings.access_token_ttl,
            refresh_ttl=settings.refresh_token_ttl,
            leeway=settings.leeway,
        )
        keys = KeyRing.from_json(settings.jwt_keys)
        tokens, pages = Tokens(keys, rules), Pages(Cursors(keys))
        throttles = LoginThrottles(
            free_failures=settings.login_failures_per_account, max_failures=settings.login_failures_max
        )
        bulkhead = Bulkhead(concurrency=settings.hashing_concurrency, queue=settings.hashing_queue)
        credentials = Credentials(passwords, bulkhead, throttles)
        accounts = Accounts(credentials, registration_open=settings.registration == "open")
        sessions = Sessions(credentials, tokens, session_ttl=settings.session_ttl, refresh_grace=settings.refresh_grace)
        pruning, health = Pruning(leeway=settings.leeway), Health()
        return cls(
            credentials=credentials,
            accounts=accounts,
            administration=Administration(accounts, credentials),
            directory=Directory(pages),
            roles=Roles(),
            sessions=sessions,
            audit=Audit(pages),
            address_limits=AddressLimits({name: getattr(settings, f"rate_limit_{name}") for name in LimitName}),
            pruning=pruning,
            health=health,
            inspection=Inspection(tokens, sessions, refresh_grace=settings.refresh_grace),
            tokens=tokens,
            checkup=Checkup(settings, passwords, tokens, pruning, health),
        )

    def attach(self, app: Application) -> None:
        """Make ``app`` the one that answers with these use cases."""
        app.extensions["authapp"] = self

    @classmethod
    def of(cls, app: Application) -> Self:
        """Return the use cases of ``app``."""
        use_cases: Self = app.extensions["authapp"]
        return use_cases
