"""What counts as one client."""

import pytest

from authapp.domain.ip_addresses import client_network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("192.0.2.1:8000", "192.0.2.1"),
        ("[2001:db8:1:2::1]:8000", "2001:db8:1:2::/64"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_or_a_household_is_one_client(address: str, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize("address", [None, "", "unix:", "192.0.2.256", "192.0.2.1, 192.0.2.2", "%"])
def test_what_is_no_address_shares_one_count(address: str | None) -> None:
    assert client_network(address) == "unknown"
