"""Recovery codes: each of them replaces a second factor once. Only their hashes are stored.

A code has 120 random bits, so its SHA-256 needs neither salt nor a slow hash (ASVS 5.0, 6.5.2: from 112 bits). It is
written in Crockford's base32, whose letters are not mistaken for digits.
"""

import re
from hashlib import sha256
from secrets import choice
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import (
    RECOVERY_CODE,
    CodeRules,
    FactorAttempt,
    FactorKind,
    Prover,
    SecondStep,
    deletes_rows,
    factor_kinds,
)
from authapp.domain.hooks import Hooks, factors_changing
from authapp.domain.sessions.authentication import RECOVERY
from authapp.models import RecoveryCode

COUNT = 10
GROUPS = 6
GROUP_LENGTH = 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32, without I, L, O and U: 5 bits for each character."""

MAX_INPUT_LENGTH = 64
"""Longer input is not looked at: a code has 29 characters with its dashes."""

_MISREAD = str.maketrans("OIL", "011")
_SEPARATORS = re.compile(r"[\s\u002d\u2010-\u2015\u2212]+")
"""Blanks, hyphens, and the dashes that word processors make of hyphens."""

_CODE = re.compile(rf"[{ALPHABET}]{{{GROUPS * GROUP_LENGTH}}}")


def new_code() -> str:
    """Return a new code, in groups with dashes between them."""
    return "-".join("".join(choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))


def code_hash(code: str) -> bytes | None:
    """Return the hash of a code as somebody typed it, or ``None`` for what cannot be a code.

    Case, blanks and dashes do not matter; O is read as 0, and I and L as 1.
    """
    if len(code) > MAX_INPUT_LENGTH:
        return None
    folded = _SEPARATORS.sub("", code).upper().translate(_MISREAD)
    return sha256(folded.encode()).digest() if _CODE.fullmatch(folded) else None


class RecoveryCodes:
    """Recovery codes in place of a second factor."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def prove(self, attempt: FactorAttempt, context: RequestContext) -> tuple[str, ...]:
        """Use a code; see ``Prover``. It is recorded, and the owner gets a mail."""
        user_id, event = attempt.user_id, EventType.RECOVERY_CODE_USED
        if not use(user_id, attempt.answer):
            return ()
        details: dict[str, Any] = {"remaining": remaining(user_id)}
        audit.record(event, context=context, subject_id=user_id, **details)
        self._hooks.send_within(factors_changing, context=context, user_id=user_id, event=event, details=details)
        return (RECOVERY,)


def replace_all(user_id: UUID) -> list[str]:
    """Delete the codes of an account, and return new ones, which are never shown again.

    The account is locked in the open transaction: two at once would each delete the codes of before, and leave twenty.
    """
    codes, now = [new_code() for _ in range(COUNT)], clock.now()
    delete_all(user_id, None)
    rows = [{"user_id": user_id, "code_hash": code_hash(code), "created_at": now} for code in codes]
    db.session.execute(insert(RecoveryCode), rows)
    return codes


def use(user_id: UUID, code: str) -> bool:
    """Use a code of an account, locked in the open transaction, and return whether it was one."""
    hashed = code_hash(code)
    if hashed is None:
        return False
    key = (RecoveryCode.user_id == user_id, RecoveryCode.code_hash == hashed)
    used = delete(RecoveryCode).where(*key).returning(RecoveryCode.user_id)
    return db.session.execute(used.execution_options(synchronize_session=False)).first() is not None


def remaining(user_id: UUID) -> int:
    """Return how many codes of an account have not been used."""
    count = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return db.session.scalar(count) or 0


delete_all = deletes_rows(RecoveryCode.created_at)

factor_kinds.register(
    RECOVERY_CODE,
    FactorKind(
        state=select(func.count()).where(RecoveryCode.user_id == FactorKind.user_id).scalar_subquery(),
        position=40,
        second_step=SecondStep(
            prover=lambda tools: Prover(RecoveryCodes(tools.hooks).prove),
            codes=CodeRules(fits=lambda code: code_hash(code) is not None, is_guessable=False),
            is_replacement=True,
        ),
        delete=delete_all,
        member="recovery_codes",
        show=lambda _user_id, remaining: {"remaining": remaining or 0},
    ),
)
