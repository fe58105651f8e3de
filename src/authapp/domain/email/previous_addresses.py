"""The previous addresses of an account, each of which the link in a mail to it can restore.

The account's row has them in the order in which they were replaced. So an undo voids the links of all later addresses,
which a thief may have used, and leaves those of earlier ones as they are: a thief who changes the address twice, and
then undoes the second change, has not voided the link of the owner.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authapp import clock
from authapp.domain.mail.ages import NOTICE_MAX_AGE
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.models import User
from authapp.models.user import email_key

RESTORABLE_FOR = token_purposes[TokenPurpose.UNDO_EMAIL].lifetime + NOTICE_MAX_AGE
"""How long an address can be restored: as long as a link to it lives whose mail was sent as late as mails are."""

MAX_KEPT = 5


@dataclass(frozen=True)
class Restored:
    """An address that comes back, and when it was first replaced."""

    email: str
    replaced_at: datetime
    was_ever_verified: bool
    """Whether an address of the account had been verified by then. Otherwise anybody may have registered it."""


@dataclass(frozen=True)
class PreviousEmail:
    """An address that the account had, and until when the link in a mail to it restores it."""

    email: str
    replaced_at: datetime
    restorable_until: datetime


def previous_emails(user: User) -> list[PreviousEmail]:
    """Return the addresses that can be restored, the oldest first."""
    return [
        PreviousEmail(each["email"], datetime.fromisoformat(each["since"]), datetime.fromisoformat(each["until"]))
        for each in _restorable(user)
    ]


def remember(user: User, email: str, *, was_ever_verified: bool) -> bool:
    """Note that another address has just replaced ``email``, on a locked account; return whether it can be restored.

    ``was_ever_verified`` is as in ``Restored``: the change has verified the new address, so the account cannot tell.

    If ``MAX_KEPT`` others are kept, it cannot: later addresses may be a thief's, and must not push out earlier ones.
    """
    kept, now = _restorable(user), clock.now()
    until = (now + RESTORABLE_FOR).isoformat()
    # An address that is replaced again keeps its first entry: what was added since may be a thief's.
    known = _position(kept, email_key(email))
    if known is not None:
        kept[known] = {**kept[known], "until": until}
    elif len(kept) < MAX_KEPT:
        kept.append({"email": email, "since": now.isoformat(), "until": until, "was_ever_verified": was_ever_verified})
    else:
        return False
    user.previous_emails = kept
    return True


def restore(user: User, address_key: str) -> Restored | None:
    """Return the address with this key if it can be restored; then it and all later ones no longer can be."""
    kept = _restorable(user)
    position = _position(kept, address_key)
    if position is None:
        return None
    user.previous_emails = kept[:position] or None
    entry = kept[position]
    return Restored(entry["email"], datetime.fromisoformat(entry["since"]), entry["was_ever_verified"])


def can_be_restored(user: User, address_key: str) -> bool:
    """Tell whether the address with this key can be restored."""
    return _position(_restorable(user), address_key) is not None


def _restorable(user: User) -> list[dict[str, Any]]:
    """Return the entries of the addresses that can be restored, in the order in which they were replaced.

    The row keeps an entry whose time is over until the next change.
    """
    now = clock.now()
    return [each for each in user.previous_emails or () if datetime.fromisoformat(each["until"]) > now]


def _position(kept: list[dict[str, Any]], address_key: str) -> int | None:
    return next((number for number, each in enumerate(kept) if email_key(each["email"]) == address_key), None)
