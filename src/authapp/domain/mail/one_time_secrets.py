"""What a mail carries that opens something. It is made when the mail is sent, so that no row of the outbox holds it."""

from dataclasses import dataclass

from authapp.database.session import transaction
from authapp.domain import one_time_tokens
from authapp.domain.mail.kinds import MailKind, Recipient
from authapp.models import OutgoingMail
from authapp.security.one_time_codes import code_hash, new_code


@dataclass(frozen=True)
class OneTimeSecrets:
    """A token for ``purpose``, and for a login a code that can be typed instead."""

    purpose: str
    token: str
    code: str | None


def issue(mail: OutgoingMail, kind: MailKind, recipient: Recipient) -> OneTimeSecrets | None:
    """Issue what a mail of ``kind`` carries, within the open transaction; ``None`` if that is nothing.

    Raises ``TooManyTokens`` if links of as many mails as an account may have are in its mailbox.
    """
    if kind.purpose is None:
        return None
    code = new_code() if mail.challenge_hash else None
    token = one_time_tokens.issue(
        recipient.user.id,
        kind.purpose,
        sent_to=recipient.address,
        challenge_hash=mail.challenge_hash,
        code_hash=code_hash(mail.challenge_hash, code) if mail.challenge_hash and code else None,
        mail_id=mail.id,
    )
    return OneTimeSecrets(kind.purpose, token, code)


def void(secrets: OneTimeSecrets | None) -> None:
    """Delete the token of a mail that was not taken: an account has room for few, and others are in its mailbox."""
    if secrets is not None:
        with transaction():
            one_time_tokens.void_token(secrets.token, secrets.purpose)
