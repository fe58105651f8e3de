"""The transports for people who develop: mails stay on this machine, in a folder or on standard output."""

import sys
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

from authapp.domain.mail.transports import (
    ASCII_POLICY,
    UTF8_POLICY,
    ServerUnavailable,
    TransportKind,
    mail_transports,
    needs_utf8,
)

MAX_FILES = 200
"""When a folder has more mails of authapp, the oldest are deleted."""


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
        written = (path for path in self._folder.glob("*.eml") if _is_mail_id(path.stem))
        for path in sorted(written)[:-MAX_FILES]:
            # Another sender may delete the same.
            with suppress(FileNotFoundError):
                path.unlink()


def _is_mail_id(name: str) -> bool:
    """Tell whether a file has the name of a mail of ours: the folder may hold mails of other programs."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


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


mail_transports.register("file", TransportKind(lambda server, *_: FolderTransport(server.folder), is_local=True))
mail_transports.register("console", TransportKind(lambda *_: ConsoleTransport(), is_local=True))
