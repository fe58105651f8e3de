"""The use cases of second factors, wired for one application."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from authapp.config import SettingsError
from authapp.domain.core_services import CoreServices
from authapp.domain.factors import password_kind, totp_part  # noqa: F401 - they register the kind and the part
from authapp.domain.factors.factor_attempts import FactorAttempts
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.factor_resets import FactorResets
from authapp.domain.factors.kinds import FactorTools, offered_second_factors, second_steps
from authapp.domain.factors.passkey_assertions import PasskeyAssertions
from authapp.domain.factors.passkey_challenges import PasskeyChallenges
from authapp.domain.factors.passkey_login import PasskeyLogin
from authapp.domain.factors.passkeys import Passkeys
from authapp.domain.factors.recovery_code_renewal import RecoveryCodeRenewal
from authapp.domain.factors.second_factors import SecondFactors
from authapp.domain.factors.step_up_methods import StepUpMethods
from authapp.domain.factors.totp_enrolment import TotpEnrolment
from authapp.domain.factors.totp_factors import TotpFactors
from authapp.domain.sessions.sessions import Sessions


@dataclass(frozen=True)
class FactorServices:
    """The use cases of second factors."""

    offered: Sequence[str]
    """The names of the second factors that users can add."""

    second_factors: SecondFactors
    totp_factors: TotpFactors
    totp_enrolment: TotpEnrolment
    recovery_code_renewal: RecoveryCodeRenewal
    changes: FactorChanges
    resets: FactorResets
    passkeys: Passkeys
    passkey_assertions: PasskeyAssertions
    passkey_login: PasskeyLogin
    step_up_methods: StepUpMethods

    @classmethod
    def build(cls, core: CoreServices, sessions: Sessions) -> Self:
        """Create the use cases.

        Without encryption keys, no code of an authenticator app can be checked. Raises ``SettingsError`` if roles
        require a second factor that nobody could add.
        """
        settings, hooks = core.settings, core.hooks
        offered = offered_second_factors(settings)
        if settings.second_factor_required_roles and not offered:
            needed = "AUTHAPP_ENCRYPTION_KEYS or AUTHAPP_ORIGINS: nobody could get a second factor."
            raise SettingsError([f"AUTHAPP_SECOND_FACTOR_REQUIRED_ROLES needs {needed}"])
        tools = FactorTools(settings, core.encryption_keys, core.challenges, hooks)
        provers = {name: step.prover(tools) for name, step in second_steps().items()}
        attempts = FactorAttempts({name: prover for name, prover in provers.items() if prover}, core.throttles)
        challenges, assertions = PasskeyChallenges.of(tools), PasskeyAssertions.of(tools)
        changes, totp_factors = FactorChanges(settings, core.actor_policy, hooks), TotpFactors.of(tools)
        return cls(
            offered=offered,
            totp_factors=totp_factors,
            second_factors=SecondFactors(attempts, sessions),
            totp_enrolment=TotpEnrolment(totp_factors, changes),
            recovery_code_renewal=RecoveryCodeRenewal(changes),
            changes=changes,
            resets=FactorResets(core.throttles, changes),
            passkeys=Passkeys(challenges, changes),
            passkey_assertions=assertions,
            passkey_login=PasskeyLogin(assertions, sessions),
            step_up_methods=StepUpMethods(attempts, core.password_verifier, assertions),
        )

    def connect(self, app: object) -> None:
        """Connect the receivers of hooks to ``app``."""
        self.second_factors.connect(app)
        self.resets.connect(app)
