"""The use cases of second factors, wired for one application."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from authapp.config import Settings
from authapp.domain.factors.enrolled import RECOVERY_CODE, TOTP
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.factor_resets import FactorResets
from authapp.domain.factors.recovery import Recovery
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.factors.second_factors import SecondFactor, SecondFactors
from authapp.domain.factors.totp_enrolment import TotpEnrolment
from authapp.domain.factors.totp_factors import TotpFactors
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.throttles import LoginThrottles
from authapp.domain.sessions.sessions import Sessions
from authapp.security.encryption_keys import EncryptionKeys


@dataclass(frozen=True)
class FactorServices:
    """The use cases of second factors."""

    second_factors: SecondFactors
    totp_enrolment: TotpEnrolment
    recovery: Recovery
    resets: FactorResets

    @classmethod
    def build(
        cls,
        settings: Settings,
        keys: EncryptionKeys | None,
        sessions: Sessions,
        throttles: LoginThrottles,
        hooks: Hooks,
    ) -> Self:
        """Create the use cases. Without ``keys``, no code of an authenticator app can be checked."""
        codes, changes = RecoveryCodes(), FactorChanges(hooks)
        totp_enrolment = TotpEnrolment(
            TotpFactors(keys, urlsplit(settings.issuer).hostname or settings.issuer), codes, changes
        )
        recovery = Recovery(codes, hooks)
        factors = {
            TOTP: SecondFactor(totp_enrolment.prove, is_guessable=True),
            RECOVERY_CODE: SecondFactor(recovery.prove, is_guessable=True),
        }
        return cls(
            second_factors=SecondFactors(factors, sessions, throttles, hooks),
            totp_enrolment=totp_enrolment,
            recovery=recovery,
            resets=FactorResets(throttles, changes),
        )

    def connect(self, app: object) -> None:
        """Connect the receivers of hooks to ``app``."""
        self.second_factors.connect(app)
        self.resets.connect(app)
