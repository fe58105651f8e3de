"""The kinds of factors of this package. It is imported to register them, in the order in which a login names them."""

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from authapp.domain.factors import totp
from authapp.domain.factors.kinds import (
    PASSKEY,
    RECOVERY_CODE,
    TOTP,
    USER_ID,
    CodeRules,
    FactorKind,
    FactorTools,
    Prover,
    SecondStep,
    deletes_rows,
    factor_kinds,
)
from authapp.domain.factors.passkey_proofs import PasskeyProofs
from authapp.domain.factors.passkeys import passkeys_of
from authapp.domain.factors.recovery_code_proofs import RecoveryCodeProofs, code_hash
from authapp.domain.factors.totp_factors import TotpFactors
from authapp.models import Passkey, RecoveryCode, TotpFactor, User


def _passkey_prover(tools: FactorTools) -> Prover | None:
    if tools.settings.relying_party is None:
        return None
    proofs = tools.shared(PasskeyProofs.of)
    return Prover(proofs.prove_second_factor, proofs.second_factor_options)


def _number_of(user_id: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    return select(func.count()).where(user_id == USER_ID).scalar_subquery()


factor_kinds.register(
    "password",
    FactorKind(state=User.password_hash.is_not(None), ways_in=lambda has_password, _settings: int(has_password)),
)

factor_kinds.register(
    TOTP,
    FactorKind(
        state=select(TotpFactor.confirmed_at).where(TotpFactor.user_id == USER_ID).scalar_subquery(),
        second_step=SecondStep(
            prover=lambda tools: Prover(tools.shared(TotpFactors.of).prove),
            codes=CodeRules(fits=lambda code: len(totp.digits_of(code)) <= totp.DIGITS),
        ),
        is_offered=lambda settings: settings.encryption_keys is not None,
        delete=deletes_rows(TotpFactor.confirmed_at),
        show=lambda _user_id, enabled_at: enabled_at and {"enabled_at": enabled_at},
    ),
)

factor_kinds.register(
    PASSKEY,
    FactorKind(
        state=_number_of(Passkey.user_id),
        second_step=SecondStep(prover=_passkey_prover, codes=None),
        ways_in=lambda number, settings: number if settings.relying_party else 0,
        is_offered=lambda settings: settings.relying_party is not None,
        delete=deletes_rows(Passkey.created_at),
        member="passkeys",
        show=lambda user_id, _number: passkeys_of(user_id),
    ),
)

factor_kinds.register(
    RECOVERY_CODE,
    FactorKind(
        state=_number_of(RecoveryCode.user_id),
        second_step=SecondStep(
            prover=lambda tools: Prover(RecoveryCodeProofs(tools.hooks).prove),
            codes=CodeRules(fits=lambda code: code_hash(code) is not None, is_guessable=False),
            is_replacement=True,
        ),
        delete=deletes_rows(RecoveryCode.created_at),
        member="recovery_codes",
        show=lambda _user_id, remaining: {"remaining": remaining or 0},
    ),
)
