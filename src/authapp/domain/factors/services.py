"""The use cases of second factors, wired for one application."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from authapp.config import RelyingParty, Settings
from authapp.domain.factors.enrolled import RECOVERY_CODE, TOTP
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.factor_resets import FactorResets
from authapp.domain.factors.passkey_login import PasskeyLogin
from authapp.domain.factors.passkey_proofs import PasskeyProofs
from authapp.domain.factors.passkeys import Passkeys
from authapp.domain.factors.recovery import Recovery
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.factors.second_factors import SecondFactors
from authapp.domain.factors.totp_enrolment import TotpEnrolment
from authapp.domain.factors.totp_factors import TotpFactors
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.throttles import Throttles
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import KeyRing
from authapp.security.sealed_challenges import SealedChallenges


@dataclass(frozen=True)
class FactorServices:
    """The use cases of second factors."""

    second_factors: SecondFactors
    totp_enrolment: TotpEnrolment
    recovery: Recovery
    resets: FactorResets
    passkeys: Passkeys
    passkey_proofs: PasskeyProofs
    passkey_login: PasskeyLogin

    @classmethod
    def build(
        cls,
        settings: Settings,
        keys: KeyRing,
        encryption_keys: EncryptionKeys | None,
        verifier: PasswordVerifier,
        sessions: Sessions,
        throttles: Throttles,
        hooks: Hooks,
    ) -> Self:
        """Create the use cases. ``keys`` are those that sign tokens: others are derived from them.

        Without ``encryption_keys``, no code of an authenticator app can be checked.
        """
        # Without origins, no passkey is accepted. Accounts keep those that they have.
        challenges, party = SealedChallenges(keys), settings.relying_party or RelyingParty("", "", ())
        proofs = PasskeyProofs(challenges, party, hooks)
        codes = RecoveryCodes()
        changes = FactorChanges(codes, hooks)
        totp_enrolment = TotpEnrolment(
            TotpFactors(encryption_keys, urlsplit(settings.issuer).hostname or settings.issuer), codes, changes
        )
        recovery = Recovery(codes, hooks)
        by_code = {TOTP: totp_enrolment.prove, RECOVERY_CODE: recovery.prove}
        return cls(
            second_factors=SecondFactors(by_code, proofs, verifier, sessions, throttles, hooks),
            totp_enrolment=totp_enrolment,
            recovery=recovery,
            resets=FactorResets(throttles, changes),
            passkeys=Passkeys(challenges, party, codes, changes),
            passkey_proofs=proofs,
            passkey_login=PasskeyLogin(proofs, sessions),
        )

    def connect(self, app: object) -> None:
        """Connect the receivers of hooks to ``app``."""
        self.second_factors.connect(app)
        self.resets.connect(app)
