"""Parsers of settings that have no file of their own: from the text to the value."""

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_https_or_local(text: str) -> bool:
    """Return whether ``text`` is an https address, or an http one of this machine; without the name of a user."""
    try:
        url = urlsplit(text)
        is_server = bool(url.hostname) and url.port != 0 and url.username is None
    except ValueError:
        return False
    is_local = url.scheme == "http" and url.hostname in {"127.0.0.1", "localhost", "::1"}
    return is_server and (url.scheme == "https" or is_local)


def breach_source(value: str) -> str:
    """Return an ``AUTHAPP_BREACHED_PASSWORDS``: ``off``, or the address of a list. Raises ``ValueError``."""
    if value == "off":
        return value
    url = urlsplit(value)
    if is_https_or_local(value) and not url.query and not url.fragment:
        return value
    if url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return value
    raise ValueError("must be off, an https address of a range API, or file:///sorted-sha1.txt.")


def folder(value: str) -> Path:
    """Return the path of a folder that exists. Raises ``ValueError``."""
    path = Path(value)
    if not path.is_dir():
        raise ValueError("must name a folder that exists.")
    return path


def bind_address(value: str) -> str:
    """Return an address to listen at, such as ``127.0.0.1:9464`` or ``[::]:9464``. Raises ``ValueError``."""
    try:
        url = urlsplit(f"//{value}")
        is_usable = bool(url.hostname and url.port) and url.netloc == value and "@" not in value
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("must be an address and a port, such as 127.0.0.1:9464 or [::]:9464.")
    return value


def names(text: str) -> frozenset[str]:
    """Return the names in a list with commas between them."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def is_host(text: str) -> bool:
    """Return whether ``text`` is a name of at least one label in ASCII and lower case, or an IP address."""
    return _DOMAIN.fullmatch(text) is not None or is_ip_address(text)


def is_domain(text: str) -> bool:
    """Return whether ``text`` is a domain of at least two labels, or ``localhost``: in ASCII and lower case."""
    return len(text) <= 253 and _DOMAIN.fullmatch(text) is not None and (text == "localhost" or "." in text)


def is_ip_address(text: str) -> bool:
    """Return whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
