"""What trusted proxies say about a request: the client's address, the scheme, the host and the path prefix."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from authapp.domain.ip_addresses import canonical_ip

MAX_PREFIX_LENGTH = 128

# Plain segments only. The prefix becomes part of links, where "//elsewhere" would be the address of another host.
_SANE_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+/?")


class TrustedProxies:
    """WSGI middleware (PEP 3333) that trusts the last ``hops`` entries of each ``X-Forwarded-*`` header, and no others.

    ``REMOTE_ADDR`` becomes the client's address in its canonical form, or empty if a proxy sends something else. Scheme
    and host are left to Werkzeug, which also keeps the address of the peer. Addresses and prefixes are split here, at
    each comma: Werkzeug honours quotation marks, and a client could open one that swallows what the proxy appends.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], hops: int) -> None:
        self._app = app
        self._hops = hops
        self._fix = ProxyFix(self._with_address_and_prefix, x_for=0, x_proto=hops, x_host=hops, x_prefix=0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        return self._fix(environ, start_response)

    def _with_address_and_prefix(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        address = self._forwarded(environ, "FOR")
        environ["REMOTE_ADDR"] = canonical_ip(environ.get("REMOTE_ADDR") if address is None else address) or ""
        prefix = self._forwarded(environ, "PREFIX")
        if prefix and len(prefix) <= MAX_PREFIX_LENGTH and _SANE_PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix.rstrip("/")
        return self._app(environ, start_response)

    def _forwarded(self, environ: dict[str, Any], header: str) -> str | None:
        """Return the entry that the outermost trusted proxy wrote, or ``None`` if there are fewer entries than that."""
        value: str | None = environ.get(f"HTTP_X_FORWARDED_{header}")
        entries = [] if value is None else value.split(",")
        return entries[-self._hops].strip(" \t") if 0 < self._hops <= len(entries) else None
