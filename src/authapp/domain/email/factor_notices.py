"""Mails that tell the owner of an account what happened to its second factors, stored by hooks."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import hooks
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import ADDED_LATELY, ALL_FACTORS, factor_kinds
from authapp.domain.mail import recipients
from authapp.domain.mail.account_mails import AccountMails
from authapp.domain.mail.kinds import MailKind, mail_kinds
from authapp.domain.token_purposes import TokenPurpose
from authapp.models import User
from authapp.registry import Registry

_GROUP_WORDS = {
    ALL_FACTORS: "all second factors",
    ADDED_LATELY: "the factors and recovery codes that were added lately",
}


def _in_words(details: Mapping[str, str | int]) -> dict[str, str | int]:
    """Return the details of a mail about a factor, with how its text calls it."""
    factor = str(details["factor"])
    kind = factor_kinds.get(factor)
    words = _GROUP_WORDS.get(factor) or (kind and kind.words) or f"another factor ({factor})"
    is_second = kind is None or kind.second_step is not None
    return {**details, "words": words, "is_one": factor not in _GROUP_WORDS, "is_second": is_second}


# A second factor, a way in that is none, several, and a kind that is not registered.
_EXAMPLES = [{"factor": factor} for factor in ("totp", "provider", ALL_FACTORS, "fax")]
_FACTOR_DETAILS: dict[str, Any] = {"examples": _EXAMPLES, "explain": _in_words}

FACTOR_ADDED_NOTICE = mail_kinds.register(
    "factor_added_notice", MailKind(recipients.owner_at_stored_address, **_FACTOR_DETAILS)
)
FACTOR_ADDED = mail_kinds.register(
    "factor_added",
    MailKind(
        recipients.active_owner_at_stored_address,
        TokenPurpose.UNDO_FACTORS,
        fallback=FACTOR_ADDED_NOTICE,
        **_FACTOR_DETAILS,
    ),
)
FACTOR_REMOVED = mail_kinds.register("factor_removed", MailKind(recipients.owner_at_stored_address, **_FACTOR_DETAILS))
RECOVERY_CODES_CREATED = mail_kinds.register("recovery_codes_created", MailKind(recipients.owner_at_stored_address))
RECOVERY_CODE_USED = mail_kinds.register(
    "recovery_code_used", MailKind(recipients.owner_at_stored_address, examples=[{"remaining": 3}])
)
PASSKEY_COUNTER_REVERSED = mail_kinds.register("passkey_counter_reversed", MailKind(recipients.owner_at_stored_address))


class _FactorMailKinds(Registry[str]):
    """The kinds of mail by event. Each is registered in ``mail_kinds`` before."""

    def register(self, name: str, value: str) -> str:
        mail_kinds.require(value)
        return super().register(name, value)


factor_mail_kinds = _FactorMailKinds(
    "event of factors with a mail", r"[a-z][a-z_]*\.[a-z][a-z_]*", "use the type of an audit event, such as fax.jammed."
)
"""The kind of mail about each event that ``factors_changing`` tells of; about others the owner gets none.

Register the mail about an event of your own, which has the details of the mail. Raises ``KeyError`` if its kind is not
in ``mail_kinds``.
"""

factor_mail_kinds.register(EventType.FACTOR_ADDED, FACTOR_ADDED)  # with a link to undo it
factor_mail_kinds.register(EventType.FACTOR_REMOVED, FACTOR_REMOVED)
factor_mail_kinds.register(EventType.FACTOR_RESET, FACTOR_REMOVED)
factor_mail_kinds.register(EventType.RECOVERY_CODE_USED, RECOVERY_CODE_USED)
factor_mail_kinds.register(EventType.RECOVERY_CODES_CREATED, RECOVERY_CODES_CREATED)
factor_mail_kinds.register(EventType.PASSKEY_COUNTER_REVERSED, PASSKEY_COUNTER_REVERSED)


class FactorNotices:
    """Stores the notices of one application, each in the transaction of what it tells of."""

    def __init__(self, account_mails: AccountMails) -> None:
        self._account_mails = account_mails

    def connect(self, app: object) -> None:
        """Connect to the hook of ``app``. It refers to this object weakly: keep a reference."""
        hooks.factors_changing.connect(self.store, sender=app)

    def store(
        self,
        _app: object,
        *,
        user_id: UUID,
        event: str,
        details: Mapping[str, Any],
        context: RequestContext,
        **_: object,
    ) -> None:
        """Store the mail about an event, if there is one about it, with those of its details that the mail has."""
        if event not in factor_mail_kinds:
            return
        user, kind = db.session.get_one(User, user_id), factor_mail_kinds[event]
        self._account_mails.store(
            kind,
            user_id=user_id,
            address=user.address,
            verified=user.email_verified_at is not None,
            context=context,
            details={name: details[name] for name in mail_kinds[kind].detail_names},
        )
