"""Whether a client has hung up, which those who wait for their turn are asked."""

import socket
from collections.abc import Iterator

import pytest
from flask import Flask

from authapp.api.context import has_hung_up, request_context


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client, and the server's end of its connection."""
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_client_that_waits_is_there(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    assert not has_hung_up(server)
    client.sendall(b"the next request")
    assert not has_hung_up(server)
    assert server.recv(100) == b"the next request", "it was only looked at"


def test_a_client_that_closed_has_hung_up(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    client.close()
    assert has_hung_up(server)


def test_a_client_whose_connection_broke_has_hung_up(pair: tuple[socket.socket, socket.socket]) -> None:
    _, server = pair
    server.close()
    assert has_hung_up(server)


@pytest.mark.parametrize("timeout", [None, 7.5])
def test_the_connection_keeps_its_timeout(pair: tuple[socket.socket, socket.socket], timeout: float | None) -> None:
    client, server = pair
    server.settimeout(timeout)
    has_hung_up(server)
    client.close()
    has_hung_up(server)
    assert server.gettimeout() == timeout


def test_a_server_that_does_not_say_has_clients_that_are_there(app: Flask) -> None:
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}):
        assert not request_context().client_gone()


def test_the_socket_of_gunicorn_is_asked(app: Flask, pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    with app.test_request_context("/", environ_base={"gunicorn.socket": server}):
        context = request_context()
        assert not context.client_gone()
        client.close()
        assert context.client_gone()
