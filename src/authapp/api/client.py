"""The client of a request: its address and its user agent, for all code that counts, stores or logs them."""

from typing import Any

from authapp.domain.ip_addresses import canonical_ip
from authapp.shared_names import USER_AGENT


def client_address(environ: dict[str, Any]) -> str | None:
    """Return the address of the client, or ``None`` if it is not known: this is what may be stored."""
    return canonical_ip(environ.get("REMOTE_ADDR"))


def counted_address(environ: dict[str, Any]) -> str | None:
    """Return the address under which a request is counted: the client's, or that of the peer if it is not known.

    The peer is the proxy that sent no address, or something else instead of one.
    """
    peer = environ.get("werkzeug.proxy_fix.orig", {}).get("REMOTE_ADDR")
    return client_address(environ) or canonical_ip(peer)


def user_agent(environ: dict[str, Any]) -> str | None:
    """Return the ``User-Agent``, read as UTF-8, with U+FFFD for what is not UTF-8.

    WSGI reads the bytes of a header as Latin-1 (PEP 3333), which turns other scripts into nonsense.
    """
    if USER_AGENT not in environ:
        header: str | None = environ.get("HTTP_USER_AGENT")
        environ[USER_AGENT] = header and header.encode("latin-1", "replace").decode("utf-8", "replace")
    known: str | None = environ[USER_AGENT]
    return known
