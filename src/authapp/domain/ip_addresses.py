"""Addresses of clients, as proxies and load balancers write them. This is the one place that parses them.

gunicorn's master loads this file, which therefore imports nothing of authapp.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

MAX_LENGTH = 100
"""In characters. The longest form, an IPv6 address in brackets with a zone and a port, takes about 70."""

# [IPv6%zone]:port, IPv4:port, or an address alone.
_WRITTEN = re.compile(
    r"\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9a-f:.]+)(?:%.*)?", re.IGNORECASE
)
_TRANSLATED = (
    IPv6Network("64:ff9b::/96"),  # RFC 6052: the well-known prefix of NAT64
    IPv6Network("::ffff:0:0:0/96"),  # RFC 2765: IPv4-translated addresses
)


@lru_cache(maxsize=1024)
def canonical_ip(text: str | None) -> str | None:
    """Return the IP address in ``text`` in its canonical form, or ``None`` if ``text`` is no address.

    A port, brackets, quotation marks (RFC 7239) and the zone of a link-local address are left out. An IPv6 address that
    stands for an IPv4 address is returned as that: it is one client, whichever way it reached the proxy.
    """
    if text is None or len(text) > MAX_LENGTH:
        return None
    text = text.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return None
    try:
        address = ip_address(written[1] or written[2] or written[3])
    except ValueError:
        return None
    return str(_embedded_ipv4(address) if isinstance(address, IPv6Address) else address)


def client_network(address: str | None) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address.

    A /64 usually belongs to one household. Without an address (a Unix socket, with no trusted proxy), all clients share
    one count.
    """
    client = canonical_ip(address)
    if client is None:
        return "unknown"
    return str(ip_network((client, 64), strict=False)) if ":" in client else client


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | IPv6Address:
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address
