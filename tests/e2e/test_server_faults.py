"""Workers die, servers reload, start together, and wait for slow clients: no answer is lost but theirs."""

import random
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from databases import Databases
from e2e.clients import clients
from e2e.processes import START, Server, environment, flask
from e2e.trouble import LOGOUT, PING, Tokens, in_service, judge, judge_logouts, wait
from factories import PASSWORD

RELOADS = 3
SLOW = 200
HEAD_SECONDS = 7.0
"""After so many seconds whoever has not come to the end of their headers is gone: 5, two ticks of clocks, and some."""


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def until(happened: Callable[[], bool], explain: Callable[[], str], seconds: float = START) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


def test_a_logout_that_was_acknowledged_outlives_the_worker_that_did_it(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url:
        tokens = Tokens(url, spare=600)
        with in_service(tmp_path, url) as server:
            with clients(server.port, [tokens.logouts(clients=8, pause=0)]) as load:
                for _ in range(8):
                    wait(0.4)
                    victim = random.choice(workers(server) or [None])
                    if victim is not None:
                        victim.kill()
            # Who was being served by a worker that was killed has got no answer; everybody else a good one.
            assert {answer.status for answer in load.answers} <= {0, 204}
            until(lambda: len(workers(server)) == 2, lambda: server.log)
            server.wait_until()
            assert judge_logouts(server, load) > 50


def renewed(server: Server) -> None:
    """Reload, and wait until none of the old workers is left and the new ones answer."""
    before, ready = {worker.pid for worker in workers(server)}, server.log.count("Worker ready")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: not before & {worker.pid for worker in workers(server)}, lambda: server.log)
    until(lambda: server.log.count("Worker ready") >= ready + 2, lambda: server.log)


@pytest.mark.alone  # how long clients wait for new workers is measured
def test_a_reload_under_load_costs_no_request(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url:
        tokens = Tokens(url)
        with in_service(tmp_path, url) as server:
            until(lambda: server.log.count("Worker ready") == 2, lambda: server.log)
            plans = [plan | {"close": True} for plan in tokens.plans()]
            with clients(server.port, [*plans, *tokens.plans(clients=4)]) as load:
                for _ in range(RELOADS):
                    wait(0.7)
                    renewed(server)
                last = time.monotonic()
                wait(0.7)
            judge(load, reloads=RELOADS)
            assert {answer.status for answer in load.answers} == {200, 401}
            for name in ("good", "revoked", "live"):
                assert any(answer.sent_at > last for answer in load.named(name)), "the load went on to the end"


def test_four_instances_started_at_once_on_an_empty_database(databases: Databases, tmp_path: Path) -> None:
    with databases.empty() as url, ExitStack() as stack:
        variables = environment(url, WEB_CONCURRENCY="1")

        def start(_: int) -> Server:
            assert flask(variables, "db", "upgrade").returncode == 0
            server = Server(tmp_path, variables)
            stack.callback(server.stop)
            server.wait_until()
            return server

        with ThreadPoolExecutor(4) as pool:
            running = list(pool.map(start, range(4)))
        account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        assert running[0].call("POST", "/api/v1/auth/register", json=account).status_code == 201
        token = running[1].call("POST", "/api/v1/auth/login", json=account | {}).status_code
        assert token == 422, "an email address has no place in a login"
        body = {"username": "ada", "password": PASSWORD}
        token = running[1].call("POST", "/api/v1/auth/login", json=body).json()["access_token"]
        assert {server.call("GET", PING, token).status_code for server in running} == {200}
        assert running[2].call("POST", LOGOUT, token).status_code == 204
        assert {server.call("GET", PING, token).status_code for server in running} == {401}
        assert all('"ERROR"' not in server.log for server in running)


class SlowClients:
    """Half of them never come to the end of their headers, and half of them of their bodies."""

    HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    def __init__(self, port: int, number: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
        self.in_headers = set(self._sockets[::2])
        self.dropped: set[socket.socket] = set()
        for each in self._sockets:
            each.sendall(self.HEAD + (b"X: " if each in self.in_headers else b'Content-Length: 5000\r\n\r\n{"'))

    def send_a_byte(self) -> None:
        """Send one more, each; whom the server has hung up on finds out."""
        for each in self._sockets:
            if each not in self.dropped:
                try:
                    each.send(b"a")
                except OSError:
                    self.dropped.add(each)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def test_two_hundred_clients_who_are_slow_hold_nobody_up(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url:
        tokens = Tokens(url)
        with (
            in_service(tmp_path, url) as server,
            clients(server.port, tokens.plans()) as load,
            closing(SlowClients(server.port, SLOW)) as slow,
        ):
            opened = time.monotonic()
            while time.monotonic() < opened + HEAD_SECONDS:
                wait(0.25)
                slow.send_a_byte()
                if time.monotonic() < opened + 3:
                    assert not slow.dropped, "all two hundred are there for the others to be held up by"
            assert slow.in_headers <= slow.dropped
        judge(load)
        assert {answer.status for answer in load.answers} == {200, 401}
