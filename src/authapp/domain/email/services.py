"""The use cases of addresses and the links in mails, wired for one application."""

from dataclasses import dataclass
from typing import Self

from authapp.domain.core_services import CoreServices
from authapp.domain.email.address_changes import AddressChanges
from authapp.domain.email.address_undo import AddressUndo
from authapp.domain.email.email_verifications import EmailVerifications
from authapp.domain.email.factor_notices import FactorNotices
from authapp.domain.email.factor_undo import FactorUndo
from authapp.domain.email.forced_resets import ForcedResets
from authapp.domain.email.link_confirmations import LinkConfirmations
from authapp.domain.email.login_links import LoginLinks
from authapp.domain.email.notices import Notices
from authapp.domain.email.password_resets import PasswordResets
from authapp.domain.email.verified_registrations import VerifiedRegistrations
from authapp.domain.mail.services import MailServices
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.users.accounts import Accounts


@dataclass(frozen=True)
class EmailServices:
    """The use cases of addresses and the links in mails."""

    verifications: EmailVerifications
    verified_registrations: VerifiedRegistrations
    password_resets: PasswordResets
    forced_resets: ForcedResets
    address_changes: AddressChanges
    address_undo: AddressUndo
    login_links: LoginLinks
    link_confirmations: LinkConfirmations
    notices: Notices
    factor_notices: FactorNotices

    @classmethod
    def build(cls, core: CoreServices, mail: MailServices, accounts: Accounts, sessions: Sessions) -> Self:
        """Create the use cases."""
        verification, hooks = core.settings.email_verification, core.hooks
        verifier, throttles = core.password_verifier, core.throttles
        verifications = EmailVerifications(mail.counted, verifier, hooks, required=verification == "required")
        address_changes = AddressChanges(verifier, core.actor_policy, mail.counted, mail.account_mails, hooks)
        address_undo = AddressUndo(mail.account_mails, hooks)
        factor_undo = FactorUndo(hooks)
        return cls(
            verifications=verifications,
            verified_registrations=VerifiedRegistrations(accounts, mail.counted),
            password_resets=PasswordResets(mail.counted, core.password_policy, throttles, hooks),
            forced_resets=ForcedResets(throttles, hooks),
            address_changes=address_changes,
            address_undo=address_undo,
            login_links=LoginLinks(mail.counted, throttles, sessions, hooks),
            link_confirmations=LinkConfirmations(verifications, address_changes, address_undo, factor_undo),
            notices=Notices(mail.account_mails, mail.counted, verification=verification),
            factor_notices=FactorNotices(mail.account_mails),
        )

    def connect(self, app: object) -> None:
        """Connect the receivers of hooks to ``app``."""
        self.notices.connect(app)
        self.factor_notices.connect(app)
        self.verifications.connect(app)
