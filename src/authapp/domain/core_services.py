"""What the use cases of several wings are made of, wired for one application."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from authapp.config import Settings
from authapp.database.fast_path import FastPath
from authapp.domain.hooks import Hooks
from authapp.domain.pages import Pages
from authapp.domain.passwords.breached import breached_passwords
from authapp.domain.passwords.hashing import PasswordHasher
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.passwords.response_floor import ResponseFloor
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.throttles import Throttles
from authapp.security.bulkhead import Bulkhead
from authapp.security.cursors import Cursors
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import InvalidKey, KeyRing
from authapp.security.passwords import Passwords
from authapp.security.signed_challenges import SignedChallenges
from authapp.security.tokens import TokenRules, Tokens


class HasAppContext(Protocol):
    """The part of a Flask application that services use."""

    def app_context(self) -> AbstractContextManager[Any]:
        """Open an application context."""


@dataclass(frozen=True)
class CoreServices:
    """What the use cases of several wings are made of."""

    settings: Settings
    fast_path: FastPath
    hooks: Hooks
    tokens: Tokens
    challenges: SignedChallenges
    encryption_keys: EncryptionKeys | None
    pages: Pages
    throttles: Throttles
    hasher: PasswordHasher
    password_policy: PasswordPolicy
    password_verifier: PasswordVerifier
    actor_policy: ActorPolicy

    @classmethod
    def build(cls, settings: Settings, fast_path: FastPath, app: HasAppContext, actor_policy: ActorPolicy) -> Self:
        """Create them.

        Raises ``authapp.security.keys.InvalidKey``, with the name of the setting, if the keys cannot be used.
        """
        keys, hasher = _key_ring(settings), _hasher(settings)
        throttles = Throttles(
            fast_path, free_failures=settings.login_failures_per_account, max_failures=settings.login_failures_max
        )
        return cls(
            settings=settings,
            fast_path=fast_path,
            hooks=Hooks(app),
            tokens=Tokens(keys, _rules(settings)),
            challenges=SignedChallenges(keys),
            encryption_keys=_encryption_keys(settings, keys),
            pages=Pages(Cursors(keys)),
            throttles=throttles,
            hasher=hasher,
            password_policy=PasswordPolicy(breached_passwords(settings.breached_passwords), hasher),
            password_verifier=PasswordVerifier(
                hasher,
                throttles,
                fast_path,
                verified_addresses=settings.email_verification == "required",
                floor=ResponseFloor(settings.login_floor_ms / 1000),
            ),
            actor_policy=actor_policy,
        )


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


def _hasher(settings: Settings) -> PasswordHasher:
    passwords = Passwords(memory_kib=settings.argon2_memory_kib, time_cost=settings.argon2_time_cost)
    bulkhead = Bulkhead(
        concurrency=settings.hashing_concurrency,
        longest_wait=settings.hashing_queue_seconds,
        seconds=passwords.seconds,
    )
    return PasswordHasher(passwords, bulkhead)
