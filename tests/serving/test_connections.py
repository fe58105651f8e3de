"""Who has to go when a worker is full."""

from contextlib import ExitStack
from unittest.mock import Mock

from authapp.serving.connections import Connections


def client(waiting_since: float | None) -> Mock:
    made = Mock(waiting_since=waiting_since)
    made.drop.side_effect = lambda: setattr(made, "waiting_since", None)
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
    assert dropped(3, [("a", 1.0), ("a", 2.0), ("b", 3.0)]) == []


def test_whoever_has_been_waited_for_longest_goes() -> None:
    assert dropped(3, [("a", 2.0), ("a", 1.0), ("a", 3.0), ("a", 4.0)]) == [1]


def test_it_is_one_of_the_address_that_has_most() -> None:
    assert dropped(3, [("b", 1.0), ("a", 2.0), ("a", 3.0), ("b", 4.0), ("c", 5.0)]) == [0, 1]


def test_a_request_that_is_being_answered_is_left_alone() -> None:
    assert dropped(2, [("a", None), ("a", None), ("b", 3.0)]) == []
    assert dropped(3, [("a", None), ("a", None), ("b", 3.0), ("b", 4.0)]) == [2]


def test_clients_of_a_unix_socket_have_one_address() -> None:
    assert dropped(2, [("", 2.0), ("", 1.0), ("", 3.0)]) == [1]
