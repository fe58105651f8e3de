"""How mail leaves: what a transport does, the three ways in which it fails, and the open list of transports."""

from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol

from authapp.config import MailServer
from authapp.registry import Registry

ASCII_POLICY = SMTP.clone(cte_type="7bit")
"""How a mail is written: lines end in CR LF, and what is not ASCII is encoded, so that any server can pass it on."""

UTF8_POLICY = ASCII_POLICY.clone(utf8=True)
"""The same with addresses in UTF-8 (RFC 6532), for servers that offer SMTPUTF8."""


class RecipientRefused(Exception):
    """The mail can never be delivered to this recipient. It is given up."""


class TemporaryFailure(Exception):
    """This mail was not taken, and may be taken later. It is tried again; other mails are not affected.

    ``may_have_arrived`` is set if the connection ended when the mail had been handed over and nothing was answered: the
    server may have taken it.
    """

    def __init__(self, reason: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(reason)
        self.may_have_arrived = may_have_arrived


class ServerUnavailable(Exception):
    """The server takes no mail at all, or not from this sender. All mails wait, and none of them counts a failure."""


class Transport(Protocol):
    """Sends mails, one after another. It is for one thread or greenlet."""

    def open(self) -> None:
        """Connect, unless there is a connection. Raises ``ServerUnavailable``."""

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand over a mail to ``recipient``, whose domain is in A-labels.

        Raises ``RecipientRefused``, ``TemporaryFailure`` or ``ServerUnavailable``, whose message says why, and holds no
        address of a recipient.
        """

    def close(self) -> None:
        """Close the connection, if there is one. Never raises."""


@dataclass(frozen=True)
class TransportKind:
    """One way in which mail can leave.

    ``make`` takes what ``AUTHAPP_MAIL_URL`` says, the address of the sender, and how many seconds a connection and each
    mail may take. It returns a transport that is not open. It is called once when the application is made, and raises
    ``ValueError`` for an address that it cannot use: the message goes after ``AUTHAPP_MAIL_URL``, and quotes no secret.
    ``is_local`` is whether mails stay on this machine: ``flask doctor`` warns of that in production.
    """

    make: Callable[[MailServer, str, float], Transport]
    is_local: bool = False


mail_transports: Registry[TransportKind] = Registry(
    "mail transport", r"[a-z][a-z0-9+.-]{0,39}", "use the scheme of its addresses, such as smtp.", reserved={"smtps"}
)
"""All transports, by the scheme of their addresses; ``smtps`` is ``smtp``. Register yours before ``create_app()``."""

TransportFactory = Callable[[], Transport]


def needs_utf8(recipient: str) -> bool:
    """Tell whether an address can be written in UTF-8 only: its local part is not ASCII (RFC 6531)."""
    return not recipient.isascii()
