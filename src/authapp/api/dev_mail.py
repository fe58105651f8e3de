"""``/dev/mail``: the mails of a development server, to read and click without a mail server. Never in production."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from heapq import nlargest
from pathlib import Path
from stat import S_ISREG

from flask import Blueprint, Response, current_app, request
from jinja2 import Template

from authapp.api.guards import public
from authapp.api.html import html, templates
from authapp.config import Settings
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound

NEWEST = 50
"""How many mails are listed."""
MAX_BYTES = 1_000_000
"""How much of one mail is read."""

_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_UNTITLED = "(no subject)"

blueprint = Blueprint("dev_mail", __name__)


@dataclass(frozen=True)
class StoredMail:
    """A mail as it is listed: its file and its headers."""

    name: str
    modified_at: float
    message: EmailMessage

    @property
    def subject(self) -> str:
        """The subject, or words that say that there is none."""
        return _header(self.message, "Subject") or _UNTITLED

    @property
    def recipient(self) -> str:
        """The header ``To``."""
        return _header(self.message, "To")

    @property
    def date(self) -> str:
        """When it was written, in the time zone of this machine."""
        return datetime.fromtimestamp(self.modified_at).astimezone().strftime("%d %b, %H:%M:%S")

    def part(self, kind: str) -> str | None:
        """Return the body of the ``kind`` ``plain`` or ``html``, or ``None`` if there is none."""
        body = self.message.get_body(preferencelist=(kind,))
        try:
            return None if body is None else str(body.get_content())
        except (LookupError, ValueError):  # an encoding that does not exist, or that the bytes are not in
            return None


def is_wanted(settings: Settings) -> bool:
    """Return whether mails are files of a development server."""
    return settings.env == "development" and settings.mail_url is not None and settings.mail_url.kind == "file"


@blueprint.get("")
@public
def show_newest_mail() -> Response:
    """Show the list of mails, and the newest one."""
    mails = _mails()
    return _page(mails, mails[0] if mails else None)


@blueprint.get("/<name>")
@public
def show_mail(name: str) -> Response:
    """Show the list of mails, and one of them."""
    mails = _mails()
    # The name is only compared, and never part of a path.
    shown = next((mail for mail in mails if mail.name == name), None)
    if shown is None:
        raise ResourceNotFound
    return _page(mails, shown)


def _page(mails: Sequence[StoredMail], shown: StoredMail | None) -> Response:
    text = _template().render(mails=mails, shown=shown, root=f"{request.script_root}/dev/mail", most=NEWEST)
    # A mail has its styles inline, and the frame that shows it has the policy of this page.
    return html(text, script_src="'none'", connect_src="'none'", style_src="'unsafe-inline'", img_src="data:")


def _mails() -> list[StoredMail]:
    """Return the newest mails, newest first. Raises ``ResourceNotFound`` if the request is not of this machine."""
    # A mail opens an account. The address keeps out other machines, if the server listens to them; the name keeps out
    # web pages that had their own name lead to this machine (DNS rebinding).
    if request.remote_addr not in _HOSTS or _hostname() not in _HOSTS:
        raise ResourceNotFound
    server = Services.of(current_app).settings.mail_url
    folder = server.folder if server else Path()
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        files = [(found.st_mtime, entry.name) for entry in entries if (found := _stat(entry))]
    return [StoredMail(name, modified, _read(folder / name)) for modified, name in nlargest(NEWEST, files)]


def _hostname() -> str:
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """Return the metadata of a mail, and ``None`` for what is no file, or has gone in the meantime."""
    if not entry.name.endswith(".eml"):
        return None
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if S_ISREG(found.st_mode) else None


def _read(path: Path) -> EmailMessage:
    try:
        with path.open("rb") as file:
            return message_from_bytes(file.read(MAX_BYTES), policy=policy.default)
    except FileNotFoundError:
        return EmailMessage()


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, ""))


@cache
def _template() -> Template:
    return templates().get_template("dev/mail.html")
