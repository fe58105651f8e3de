"""The kinds of factors: what an account can be logged in to with. Each is registered beside its code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, delete
from sqlalchemy.orm import InstrumentedAttribute

from authapp.config import Settings
from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain.hooks import Hooks
from authapp.registry import Registry
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.signed_challenges import SignedChallenges

TOTP = "totp"
PASSKEY = "passkey"
RECOVERY_CODE = "recovery_code"

ALL_FACTORS, ADDED_LATELY = "all", "added_lately"
"""What the event of a reset has in place of one kind: all of them, or what was added since a time."""

ANY_CODE = "code"
"""The step-up by a code of any kind."""


@dataclass(frozen=True)
class FactorTools:
    """What provers are made of in one application."""

    settings: Settings
    encryption_keys: EncryptionKeys | None
    challenges: SignedChallenges
    hooks: Hooks


@dataclass(frozen=True)
class FactorAttempt:
    """What somebody sent to prove a factor of an account: a code as it was typed, or what an authenticator answered.

    ``bound_to`` are the bytes for which the options of ``Prover`` were made: they stand for one login, or one session.
    """

    user_id: UUID
    answer: Any
    bound_to: bytes = b""


@dataclass(frozen=True)
class Prover:
    """Proves the factors of a kind in one application.

    ``prove`` returns the methods (``amr``, RFC 8176) that an attempt proves; none if it is wrong. It works within the
    open transaction, where the account is locked, and uses up what it accepts. ``options`` takes the user's id, of an
    account that has such a factor, and the bytes of a login. It returns, as JSON, what a client asks its authenticator
    with.
    """

    prove: Callable[[FactorAttempt, RequestContext], tuple[str, ...]]
    options: Callable[[UUID, bytes], dict[str, Any]] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class CodeRules:
    """What the codes of a kind are like. Wrong ones are counted by account."""

    fits: Callable[[str], bool] | None = None
    """Whether a code has the form of this kind, for a step-up that does not say of which it is.

    The first that fits is asked; if none does, the first that has no form.
    """

    is_guessable: bool = True
    """Whether codes are refused after too many wrong ones. One that cannot be guessed opens a locked account."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SecondStep:
    """How a kind is proven after a first factor: in a login, and in a step-up.

    ``prover`` returns ``None`` if the operator has switched the kind off: then logins do not offer it. If a setting
    such as a key is missing by mistake, it returns a prover that raises ``ServiceUnavailable``, so that nobody is told
    that a right code is wrong. Without ``codes``, a WebAuthn authenticator answers, which cannot be
    guessed. With ``is_replacement``, it stands in for a second factor that was lost, and does not count as one.
    """

    prover: Callable[[FactorTools], Prover | None]
    codes: CodeRules | None
    is_replacement: bool = False


Delete = Callable[[UUID, datetime | None], int]
"""Deletes what an account has of a kind, or only what was added after a time, and returns the number of rows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FactorKind:
    """One kind of what an account can be logged in to with.

    ``state`` is what the account ``user_id`` has of it, as SQL that is false, 0 or null if it has none: all kinds are
    read in one statement.

    Raises ``ValueError`` if no reset would remove what a login asks for: its owner would be locked out.
    """

    user_id: ClassVar[ColumnElement[UUID]] = bindparam("user_id", type_=Uuid)
    """The id of the account, in the SQL of ``state``."""

    state: ColumnElement[Any]
    position: int = 100
    """Where it stands among the kinds when a login names them. Those of one position are in order of registration."""

    second_step: SecondStep | None = None
    """Unless it replaces others, a login of an account that has it is asked for a second factor."""

    ways_in: Callable[[Any, Settings], int] | None = None
    """Takes the state and the settings, and returns how many ways it is to start a session by itself.

    It counts 0 ways with settings that let nobody log in by the kind, or the last way that there is could be deleted.
    """

    is_offered: Callable[[Settings], bool] = lambda _settings: True
    """Whether users of an application with these settings can add it."""

    delete: Delete | None = None
    """Without it, no reset removes the kind."""

    words: str | None = None
    """How a mail calls one, such as ``an authenticator app``; otherwise it has the name of the kind."""

    member: str | None = None
    """Its member in the list of one's own factors; by default the name of the kind."""

    show: Callable[[UUID, Any], Any] = lambda _user_id, state: state
    """Takes the user's id and the state, and returns the value of the member, as JSON has it."""

    member_schema: Mapping[str, Any] | None = None
    """The JSON Schema of what ``show`` returns, for the OpenAPI document. Without it, the member may be anything."""

    def __post_init__(self) -> None:
        if self.second_step and not self.delete:
            raise ValueError("A kind with a second step needs a delete.")

    @property
    def is_second(self) -> bool:
        """Whether it is a second factor."""
        return self.second_step is not None and not self.second_step.is_replacement

    @property
    def is_replacement(self) -> bool:
        """Whether it replaces a second factor."""
        return self.second_step is not None and self.second_step.is_replacement


class _FactorKinds(Registry[FactorKind]):
    """The kinds in the order of their positions. No two have the same member in the list of one's own factors."""

    def register(self, name: str, value: FactorKind) -> str:
        member = value.member or name
        if member in {kind.member or other for other, kind in self.items() if other != name}:
            raise ValueError(f"There is a kind of factor with the member {member!r} already.")
        super().register(name, value)
        self.names.sort(key=lambda each: self[each].position)
        return name


factor_kinds = _FactorKinds(
    "kind of factor",
    r"[a-z][a-z_]{0,39}",
    "use 1 to 40 of a-z and _.",
    reserved=frozenset({ALL_FACTORS, ADDED_LATELY, ANY_CODE}),
)
"""The registered kinds, in the order in which a login names them."""


def offered_second_factors(settings: Settings) -> list[str]:
    """Return the names of the second factors that users of an application with these settings can add."""
    return [name for name, kind in factor_kinds.items() if kind.is_second and kind.is_offered(settings)]


def second_steps() -> dict[str, SecondStep]:
    """Return how each kind that is registered by now is proven after a first factor, by name."""
    return {name: kind.second_step for name, kind in factor_kinds.items() if kind.second_step}


def deletes_rows(added_at: InstrumentedAttribute[Any]) -> Delete:
    """Return the ``Delete`` of a table with a column ``user_id``, whose rows were added at the time in ``added_at``.

    Rows without that time wait for their first code: they are deleted and not counted, unless a time is given.
    """
    table: Any = added_at.class_

    def delete_rows(user_id: UUID, since: datetime | None) -> int:
        later = () if since is None else (added_at > since,)
        statement = delete(table).where(table.user_id == user_id, *later).returning(added_at)
        times = db.session.scalars(statement.execution_options(synchronize_session=False))
        return sum(time is not None for time in times)

    return delete_rows
