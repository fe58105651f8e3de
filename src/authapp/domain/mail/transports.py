"""How mail leaves: what a transport does, the three ways in which it fails, and the two for people who develop."""

import sys
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

ASCII_POLICY = SMTP.clone(cte_type="7bit")
"""How a mail is written: lines end in CR LF, and what is not ASCII is encoded, so that any server can pass it on."""

UTF8_POLICY = ASCII_POLICY.clone(utf8=True)
"""The same with addresses in UTF-8 (RFC 6532), for servers that offer SMTPUTF8."""

MAX_FILES = 200
"""When a folder has more mails, the oldest are deleted."""


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


TransportFactory = Callable[[], Transport]


def needs_utf8(recipient: str) -> bool:
    """Tell whether an address can be written in UTF-8 only: its local part is not ASCII (RFC 6531)."""
    return not recipient.isascii()


class FolderTransport:
    """Writes each mail into a folder, as ``<id>.eml``. The ids are in the order in which the mails were stored.

    A file is complete as soon as it has its name. Only the account that writes them can read the folder: the mails hold
    one-time tokens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> None:
        """Create the folder, unless it is there. Raises ``ServerUnavailable``."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServerUnavailable(f"The folder cannot be created: {error.strerror}.") from None

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Write a mail. Raises ``ServerUnavailable``."""
        self.open()
        name = message["Message-ID"].strip("<>").partition("@")[0]
        unfinished = self._folder / f".{name}.unfinished"
        try:
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(message.as_bytes(policy=UTF8_POLICY if needs_utf8(recipient) else ASCII_POLICY))
            unfinished.replace(self._folder / f"{name}.eml")
            self._delete_oldest()
        except OSError as error:
            raise ServerUnavailable(f"The folder cannot be written: {error.strerror}.") from None

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _delete_oldest(self) -> None:
        for path in sorted(self._folder.glob("*.eml"))[:-MAX_FILES]:
            # Another sender may delete the same.
            with suppress(FileNotFoundError):
                path.unlink()


class ConsoleTransport:
    """Writes the text of each mail to standard output."""

    def open(self) -> None:
        """Do nothing: standard output is open."""

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Write the headers that matter and the plain text, at once."""
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        sys.stdout.write(f"\nTo: {recipient}\nSubject: {message['Subject']}\n\n{text}\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Do nothing."""
