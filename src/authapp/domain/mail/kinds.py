"""The kinds of mail: whom each concerns, and which one-time token it carries.

The recipient is looked up when the mail is sent, not when it is stored: the account may be gone by then, or disabled,
or have another address. Then the mail is dropped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from authapp.domain.audit.events import event_types
from authapp.domain.mail.ages import NOTICE_MAX_AGE
from authapp.domain.token_purposes import token_purposes
from authapp.models import OutgoingMail, User
from authapp.models.user import lookup_key
from authapp.registry import Registry

MailDetails = Mapping[str, str | int]
"""What the templates of a kind need beyond the account and the request, by name."""


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
    ``examples`` are details as ``outbox.add`` is given them: each has all the names that a mail of this kind needs, and
    ``flask doctor`` renders the templates with each. ``explain`` returns what the templates get for the details of a
    mail, and is called when it is made. ``templates`` is the folder of its templates, unless ``AUTHAPP_MAIL_TEMPLATES``
    has others.

    Raises ``KeyError`` if ``event``, ``purpose`` or ``fallback`` is not registered, so that no kind falls back to
    itself, and ``ValueError`` if the ``examples`` have different names, or ``fallback`` needs more of them.
    """

    recipient: Callable[[OutgoingMail], Recipient | None]
    purpose: str | None = None
    event: str | None = None
    fallback: str | None = None
    max_age: timedelta = NOTICE_MAX_AGE
    examples: Sequence[MailDetails] = ({},)
    explain: Callable[[MailDetails], MailDetails] = dict
    templates: Path | None = None

    def __post_init__(self) -> None:
        if self.event is not None:
            event_types.require(self.event)
        if self.purpose is not None:
            token_purposes.require(self.purpose)
        if any(example.keys() != self.detail_names for example in self.examples):
            raise ValueError("All examples of a kind of mail must have the same names.")
        if self.fallback is not None:
            mail_kinds.require(self.fallback)
            if missing := mail_kinds[self.fallback].detail_names - self.detail_names:
                raise ValueError(f"The fallback {self.fallback!r} also needs the details {', '.join(sorted(missing))}.")

    @property
    def detail_names(self) -> frozenset[str]:
        """The names of the details that a mail of this kind needs."""
        return frozenset(self.examples[0])


class UnknownKind(Exception):
    """A mail is of a kind that this process does not know."""


mail_kinds: Registry[MailKind] = Registry(
    "kind of mail", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as invoice_ready."
)
"""All kinds of mail. Register your own before ``create_app()``, with templates of the same name."""


def require_details(kind: str, details: MailDetails) -> None:
    """Refuse to store a mail that could not be made.

    Raises ``KeyError`` for a kind that is not registered, ``ValueError`` for other details than it needs.
    """
    if details.keys() != mail_kinds[kind].detail_names:
        raise ValueError(f"A mail of the kind {kind!r} needs the details {sorted(mail_kinds[kind].detail_names)}.")


def with_fallbacks(name: str) -> Iterator[str]:
    """Yield the kind of this name, and then what it falls back to, in this order. Raises ``UnknownKind``."""
    if name not in mail_kinds:
        raise UnknownKind(f"There is no kind of mail {name!r}.")
    following: str | None = name
    while following is not None:
        yield following
        following = mail_kinds[following].fallback
