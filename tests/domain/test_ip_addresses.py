"""Addresses as proxies and load balancers write them."""

import pytest

from authapp.domain.ip_addresses import canonical_ip


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:50001", "203.0.113.5"),  # Azure Application Gateway
        (" 203.0.113.5\t", "203.0.113.5"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),  # RFC 7239, section 6
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # a socket that takes both IPv4 and IPv6
        ("[::ffff:c000:201]:50001", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),  # NAT64
        ("[64:ff9b::c000:201]:50001", "192.0.2.1"),
        ("::ffff:0:192.0.2.1", "192.0.2.1"),  # SIIT
        ("64:ff9b:1::1", "64:ff9b:1::1"),
    ],
)
def test_every_way_of_writing_an_address_is_read(written: str, address: str) -> None:
    assert canonical_ip(written) == address


@pytest.mark.parametrize(
    "written",
    [
        *(None, "", " ", "unknown", "_hidden", "unix:", "localhost", "-", "%", "[]", "[]:80", '"', '""'),
        *("192.0.2.256", "192.0.2", "192.0.2.01", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:123456", "3221225985"),
        *("192.0.2.1, 192.0.2.2", "192.0.2.1\n", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]4711", '"192.0.2.1'),
        *("2001:db8::1::2", "\u0661.1.1.1", "192.0.2.1<script>", "::1%" + "z" * 200, "a" * 1_000_000),
    ],
    ids=lambda written: repr(written)[:20],
)
def test_what_is_no_address_is_nobodys(written: str | None) -> None:
    assert canonical_ip(written) is None
