"""The kinds of mail: whom each concerns, and which one-time token it carries.

The recipient is looked up when the mail is sent, not when it is stored: the account may be gone by then, or disabled,
or have another address. Then the mail is dropped.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from authapp.domain.audit.events import event_types
from authapp.domain.mail.ages import NOTICE_MAX_AGE
from authapp.domain.token_purposes import token_purposes
from authapp.models import OutgoingMail, User
from authapp.models.user import lookup_key
from authapp.registry import Registry


@dataclass(frozen=True)
class Recipient:
    """The account that a mail concerns, and the address that it is sent to."""

    user: User
    address: str

    @property
    def is_verified(self) -> bool:
        """Whether this very address has been verified. Otherwise it may be somebody else's."""
        return self.user.email_verified_at is not None and lookup_key(self.address) == self.user.email_key


@dataclass(frozen=True)
class MailKind:
    """One kind of mail.

    ``recipient`` returns who gets a mail of it, or ``None`` if it is to be dropped; it may read the database.
    ``purpose`` is that of the one-time token in its link, if it has one. ``event`` is a registered type of audit event
    that is recorded when the mail has been sent: its request could not record one, because it did not know the account.
    ``fallback`` is the kind that is sent if nobody is to get this one, or no token can be issued. A mail older than
    ``max_age`` is given up rather than sent; whatever it says, pruning removes mails that have been due for a week.
    ``details`` names what its templates need and ``Outbox.add`` is given; ``explain`` adds what follows from that when
    the mail is made. ``templates`` is the folder of its templates, unless ``AUTHAPP_MAIL_TEMPLATES`` has others.

    Raises ``KeyError`` if ``event``, ``purpose`` or ``fallback`` is not registered, so that no kind falls back to
    itself, and ``ValueError`` if ``fallback`` needs more ``details``.
    """

    recipient: Callable[[OutgoingMail], Recipient | None]
    purpose: str | None = None
    event: str | None = None
    fallback: str | None = None
    max_age: timedelta = NOTICE_MAX_AGE
    details: frozenset[str] = frozenset()
    explain: Callable[[Mapping[str, str | int]], Mapping[str, str | int]] = dict
    templates: Path | None = None

    def __post_init__(self) -> None:
        if self.event is not None:
            event_types.require(self.event)
        if self.purpose is not None:
            token_purposes.require(self.purpose)
        if self.fallback is not None:
            mail_kinds.require(self.fallback)
            if missing := mail_kinds[self.fallback].details - self.details:
                raise ValueError(f"The fallback {self.fallback!r} also needs the details {', '.join(sorted(missing))}.")


class UnknownKind(Exception):
    """A mail is of a kind that this process does not know."""


mail_kinds: Registry[MailKind] = Registry(
    "kind of mail", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as invoice_ready."
)
"""All kinds of mail. Register your own before ``create_app()``, with templates of the same name."""


def require_details(kind: str, details: Mapping[str, str | int]) -> None:
    """Refuse to store a mail that could not be made.

    Raises ``KeyError`` for a kind that is not registered, ``ValueError`` for other details than it needs.
    """
    if details.keys() != mail_kinds[kind].details:
        raise ValueError(f"A mail of the kind {kind!r} needs the details {sorted(mail_kinds[kind].details)}.")


def with_fallbacks(name: str) -> Iterator[str]:
    """Yield the kind of this name, and then what it falls back to, in this order. Raises ``UnknownKind``."""
    if name not in mail_kinds:
        raise UnknownKind(f"There is no kind of mail {name!r}.")
    following: str | None = name
    while following is not None:
        yield following
        following = mail_kinds[following].fallback
