"""The settings of mail: its server, its sender, and where the links in it lead."""

from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import getaddresses
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from email_validator import validate_email

from authapp.config.parsers import is_https_or_local

_DEFAULT_PORTS = {"smtp": 587, "smtps": 465}
_EXAMPLE = "smtp://user:password@host:587, smtps://user:password@host, file:///folder or console://."


@dataclass(frozen=True)
class MailServer:
    """Where mail goes: ``kind`` is the name of a transport in ``mail_transports``.

    ``tls`` is ``implicit`` for ``smtps://``, ``starttls`` by default, and ``off`` if the address says
    ``?starttls=off``. ``folder`` is for ``file``, and the fields between are for ``smtp``. For transports of other
    packages, ``url`` is the whole address.
    """

    kind: str
    host: str = ""
    port: int = 0
    tls: Literal["starttls", "implicit", "off"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    folder: Path = Path()
    url: str = field(default="", repr=False)


def mail_server(value: str) -> MailServer:
    """Return the server of an ``AUTHAPP_MAIL_URL``. Raises ``ValueError``, whose message does not quote the value.

    An address with another scheme than ours is left to the transport of that name, which may be registered later.
    """
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError(f"must be an address such as {_EXAMPLE}") from None
    if url.scheme == "console" and value == "console://":
        return MailServer("console")
    if url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return MailServer("file", folder=Path(unquote(url.path)))
    if url.scheme not in {"", "file", "console", *_DEFAULT_PORTS}:
        return MailServer(url.scheme, url=value)
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or url.path.strip("/") or url.fragment:
        raise ValueError(f"must be an address such as {_EXAMPLE}")
    options = parse_qs(url.query, keep_blank_values=True)
    starttls = options.pop("starttls", ["on"])
    if options or starttls not in (["on"], ["off"]) or (starttls == ["off"] and url.scheme == "smtps"):
        raise ValueError("knows one option: ?starttls=off, for smtp:// alone.")
    return MailServer(
        "smtp",
        host=url.hostname,
        port=port or _DEFAULT_PORTS[url.scheme],
        tls="implicit" if url.scheme == "smtps" else "starttls" if starttls == ["on"] else "off",
        username=unquote(url.username or ""),
        password=unquote(url.password or ""),
    )


def mail_from(value: str) -> Address:
    """Return the sender of an ``AUTHAPP_MAIL_FROM``, with or without a name. Raises ``ValueError``."""
    try:
        # A list of addresses is one of several senders, of whom none is the right one.
        [(name, address)] = getaddresses([value])
        # ``email`` would decode an encoded word (RFC 2047), which may stand for line ends. Names need none.
        is_text = value.isprintable() and "=?" not in value
        checked = validate_email(address if is_text else "", check_deliverability=False)
    except ValueError:  # EmailNotValidError is one
        raise ValueError("must be a sender such as Accounts <no-reply@example.com>.") from None
    return Address(name, addr_spec=checked.ascii_email or checked.normalized)


def link_url(value: str) -> str:
    """Return the address of an ``AUTHAPP_LINK_URL``. Raises ``ValueError``.

    The token must be in the fragment, which browsers send to no server: it would stand in logs there, and a mail
    scanner that follows links would spend it.
    """
    before, _, fragment = value.partition("#")
    if "{purpose}" not in before or fragment.count("{token}") != 1 or "{token}" in before:
        raise ValueError(
            "must contain {purpose}, and {token} after a #: https://app.example.com/{purpose}#token={token}."
        )
    try:
        value.format(purpose="", token="")
    except (IndexError, KeyError, ValueError):
        raise ValueError("must contain no other braces than {purpose} and {token}.") from None
    if not is_https_or_local(value) or any(each.isspace() for each in value):
        raise ValueError("must be an https address, or an http one of this machine.")
    return value
