"""Whether a client has hung up, which those who wait for their turn are asked."""

import socket
from collections.abc import Iterator

import pytest
from flask import Flask

from authapp.api import context
from authapp.api.context import request_context
from authapp.serving.client_socket import ClientSocket
from authapp.serving.fair_scheduler import FairScheduler
from authapp.serving.worker import CLIENT_GONE


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client, and the server's end of its connection."""
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_client_that_waits_is_there(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    assert not ClientSocket(server, FairScheduler()).has_hung_up()
    client.sendall(b"the next request")
    assert not ClientSocket(server, FairScheduler()).has_hung_up()
    assert server.recv(100) == b"the next request", "it was only looked at"


def test_a_client_that_closed_has_hung_up(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    client.close()
    assert ClientSocket(server, FairScheduler()).has_hung_up()


def test_a_client_whose_connection_broke_has_hung_up(pair: tuple[socket.socket, socket.socket]) -> None:
    _, server = pair
    server.close()
    assert ClientSocket(server, FairScheduler()).has_hung_up()


def test_a_server_that_does_not_say_has_clients_that_are_there(app: Flask) -> None:
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}):
        assert not request_context().client_gone()


def test_the_socket_of_gunicorn_is_asked(app: Flask, pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    with app.test_request_context("/", environ_base={CLIENT_GONE: ClientSocket(server, FairScheduler()).has_hung_up}):
        made = request_context()
        assert not made.client_gone()
        client.close()
        assert made.client_gone()
    assert context.CLIENT_GONE == CLIENT_GONE
