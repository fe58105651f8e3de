"""The use cases. They own the transaction, refuse by name, and know nothing of HTTP."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.domain.accounts import Accounts
from authapp.domain.credentials import Credentials
from authapp.domain.health import Health
from authapp.domain.inspection import Inspection
from authapp.domain.pruning import Pruning
from authapp.domain.sessions import Sessions
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
    sessions: Sessions
    pruning: Pruning
    health: Health
    inspection: Inspection
    tokens: Tokens

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
        tokens = Tokens(KeyRing.from_json(settings.jwt_keys), rules)
        credentials = Credentials(passwords)
        accounts = Accounts(credentials, registration_open=settings.registration == "open")
        sessions = Sessions(credentials, tokens, session_ttl=settings.session_ttl, refresh_grace=settings.refresh_grace)
        inspection = Inspection(tokens, sessions, refresh_grace=settings.refresh_grace)
        return cls(credentials, accounts, sessions, Pruning(leeway=settings.leeway), Health(), inspection, tokens)

    def attach(self, app: Application) -> None:
        """Make ``app`` the one that answers with these use cases."""
        app.extensions["authapp"] = self

    @classmethod
    def of(cls, app: Application) -> Self:
        """Return the use cases of ``app``."""
        use_cases: Self = app.extensions["authapp"]
        return use_cases
