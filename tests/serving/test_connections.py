"""Who has to go when a worker is full."""

from contextlib import ExitStack
from unittest.mock import Mock

import pytest

from authapp.serving.connections import Connections, for_clients

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::1"


def client(waiting_since: float | None) -> Mock:
    made = Mock(wait=Mock(since=waiting_since))
    made.drop.side_effect = lambda: setattr(made.wait, "since", None)
    return made


def dropped(limit: int, peers: list[tuple[str, float | None]]) -> list[int]:
    """Return which of the clients, of these addresses and waited for since then, have been hung up on."""
    connections = Connections(limit)
    clients = [client(since) for _, since in peers]
    with ExitStack() as stack:
        for each, (address, _) in zip(clients, peers, strict=True):
            stack.enter_context(connections.registered(each, (address, 1) if address else ""))
        found = [number for number, each in enumerate(clients) if each.drop.called]
    last = client(1.0)
    with connections.registered(last, ("192.0.2.9", 1)):
        assert not last.drop.called, "those that are gone are not counted"
    return found


def test_nobody_goes_while_there_is_room() -> None:
    assert dropped(3, [(A, 1.0), (A, 2.0), (B, 3.0)]) == []


def test_whoever_has_been_waited_for_longest_goes() -> None:
    assert dropped(3, [(A, 2.0), (A, 1.0), (A, 3.0), (A, 4.0)]) == [1]


def test_it_is_one_of_the_address_that_has_most() -> None:
    assert dropped(3, [(B, 1.0), (A, 2.0), (A, 3.0), (B, 4.0), (C, 5.0)]) == [0, 1]


def test_a_household_that_connects_from_many_addresses_is_one_client() -> None:
    household = [(f"2001:db8:1:2::{number:x}", 2.0 + number) for number in range(1, 6)]
    assert dropped(7, [(C, 1.0), (C, 1.5), *household, (B, 1.0)]) == [2]


def test_ipv4_clients_of_a_socket_for_both_families_are_many() -> None:
    assert dropped(4, [("::ffff:192.0.2.1", 1.0), (C, 4.0), (C, 3.0), ("::ffff:192.0.2.2", 2.0), (B, 1.0)]) == [2]


def test_a_request_that_is_being_answered_is_left_alone() -> None:
    assert dropped(2, [(A, None), (A, None), (B, 3.0)]) == []
    assert dropped(3, [(A, None), (A, None), (B, 3.0), (B, 4.0)]) == [2]


def test_clients_of_a_unix_socket_have_one_address() -> None:
    assert dropped(2, [("", 2.0), ("", 1.0), ("", 3.0)]) == [1]


@pytest.mark.parametrize(("all_of_them", "clients"), [(1000, 900), (19, 18), (9, 8), (2, 1), (1, 1)])
def test_there_is_always_one_to_accept_a_client_with(all_of_them: int, clients: int) -> None:
    assert for_clients(all_of_them) == clients
