"""Metrics at a port of their own: added up over the workers, and bounded whatever clients and workers do."""

import contextlib
import json
import re
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from databases import Databases
from e2e.processes import Server, environment, serving
from e2e.senders import UNBOUNDED, Sender
from factories import PASSWORD
from ports import free_port

WORKERS = 2


@dataclass
class Metrics:
    """A server with metrics, and its scrapes."""

    server: Server
    port: int
    folder: Path

    def get(self, path: str = "/metrics", method: str = "GET") -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        families = text_string_to_metric_families(self.get().text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def count(self, status: str, route: str, method: str = "GET") -> float:
        return self.value("authapp_http_requests_total", route=route, method=method, status=status)

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.server.process.pid).children()}

    def is_answering(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return self.get().status_code == 200
        return False

    def has_workers_but(self, gone: set[int]) -> bool:
        """Tell whether all workers run, and those are gone."""
        return len(self.workers()) == WORKERS and not self.workers() & gone

    def files(self) -> list[str]:
        (folder,) = self.folder.glob("authapp-metrics-*")
        return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def metrics(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    folder, port = tmp_path_factory.mktemp("metrics"), free_port()
    with databases.migrated() as url:
        variables = environment(
            url,
            AUTHAPP_METRICS="on",
            AUTHAPP_METRICS_BIND=f"127.0.0.1:{port}",
            WEB_CONCURRENCY=str(WORKERS),
            TMPDIR=str(folder),
        )
        with serving(folder, variables) as server:
            yield Metrics(server, port, folder)
    assert not list(folder.glob("authapp-metrics-*")), "the folder is left when the server has stopped"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_requests_of_all_workers_are_added_up_by_route_and_code(metrics: Metrics) -> None:
    route = "/api/v1/users/<uuid:user_id>"
    for _ in range(40):
        assert metrics.server.call("GET", f"/api/v1/users/{uuid4()}").status_code == 401
    assert metrics.count("401", route) == 40
    assert metrics.value("authapp_http_requests_total", route=route, code="token_missing") == 40
    assert metrics.value("authapp_http_request_duration_seconds_count", route=route, method="GET") == 40
    # Each worker has files of its own, so both have been counting.
    assert [name for name in metrics.files() if name.startswith("counter")] == ["counter_1.db", "counter_2.db"]


def test_logins_refreshes_reuse_and_logouts_are_counted(metrics: Metrics) -> None:
    call, name = metrics.server.call, "counted"
    account = {"username": name, "email": "counted@example.com", "password": PASSWORD}
    assert call("POST", "/api/v1/auth/register", json=account).status_code == 201
    login = {"username": name, "password": PASSWORD}

    def events(kind: str) -> float:
        return metrics.value("authapp_audit_events_total", type=kind)

    kinds = ("session.started", "session.refreshed", "login.refused", "refresh_token.reused", "session.ended")
    before = {kind: events(kind) for kind in kinds}
    first, second = (call("POST", "/api/v1/auth/login", json=login).json() for _ in range(2))
    assert call("POST", "/api/v1/auth/login", json={**login, "password": "wrong"}).status_code == 401
    newer = call("POST", "/api/v1/auth/refresh", first["refresh_token"]).json()
    assert call("POST", "/api/v1/auth/refresh", newer["refresh_token"]).status_code == 200
    assert call("POST", "/api/v1/auth/refresh", first["refresh_token"]).status_code == 401
    assert call("POST", "/api/v1/auth/logout", second["access_token"]).status_code == 204
    changes = {kind: events(kind) - before[kind] for kind in kinds}
    assert changes == dict(zip(kinds, (2, 2, 1, 1, 1), strict=True))


def test_what_clients_choose_makes_no_new_series(metrics: Metrics) -> None:
    def series() -> int:
        return len(re.findall("^authapp_http_requests_total", metrics.get().text, re.MULTILINE))

    metrics.server.call("GET", f"/{uuid4()}")
    metrics.server.call("ABC", f"/{uuid4()}")
    metrics.server.call("X", f"/{uuid4()}")  # too short for gunicorn, which answers by itself
    before = series()
    for number in range(20):
        metrics.server.call("GET", f"/{uuid4()}")
        metrics.server.call(f"X{number}", f"/{uuid4()}", headers={"Origin": f"https://{number}.example"})
    assert series() == before


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=["no request", "too long", "two lengths"],
)
def test_what_cannot_be_read_is_counted_once(metrics: Metrics, request_: bytes) -> None:
    def count() -> float:
        return metrics.value("authapp_http_requests_total", route="-", status="400", code="malformed_request")

    before = count()
    with socket.create_connection(("127.0.0.1", metrics.server.port), timeout=5) as client:
        client.sendall(request_)
        assert b'"code": "malformed_request"' in client.recv(65_536)
    wait_until(lambda: count() > before)
    assert count() == before + 1


def test_workers_that_die_leave_no_files_and_lose_no_counts(metrics: Metrics) -> None:
    route = "/health/live"
    for _ in range(20):
        metrics.server.call("GET", route)
    before, files = metrics.count("200", route), metrics.files()
    for _ in range(3):
        killed = metrics.workers().pop()
        psutil.Process(killed).kill()
        wait_until(partial(metrics.has_workers_but, {killed}))
        metrics.server.wait_until()
    assert metrics.count("200", route) >= before
    assert set(metrics.files()) <= set(files)


def test_connections_of_workers_that_die_are_not_counted_as_open(metrics: Metrics) -> None:
    """The next worker of the slot goes on with the files, and would count them for ever."""
    clients = [socket.create_connection(("127.0.0.1", metrics.server.port), timeout=5) for _ in range(10)]
    try:
        wait_until(lambda: metrics.value("authapp_http_connections") >= len(clients))
        killed = metrics.workers()
        for worker in killed:
            psutil.Process(worker).kill()
        wait_until(partial(metrics.has_workers_but, killed))
        metrics.server.wait_until()
        wait_until(lambda: metrics.value("authapp_http_connections") < len(clients))
    finally:
        for client in clients:
            client.close()


def test_a_reload_keeps_the_counts_and_needs_no_more_than_a_second_set_of_files(metrics: Metrics) -> None:
    route = "/health/live"
    for _ in range(2):
        workers, before = metrics.workers(), metrics.count("200", route)
        metrics.server.process.send_signal(signal.SIGHUP)
        wait_until(partial(metrics.has_workers_but, workers))
        metrics.server.wait_until()
        metrics.server.call("GET", route)
        assert metrics.count("200", route) > before
    slots = {int(re.sub(r"\D", "", name)) for name in metrics.files()}
    assert slots <= set(range(1, 2 * WORKERS + 1))


def test_the_state_of_the_database_is_read_when_it_is_asked_for(metrics: Metrics) -> None:
    assert metrics.value("authapp_database_up") == 1
    assert metrics.value("authapp_mail_queue") == 0
    assert metrics.value("authapp_table_bytes", table="users") > 0
    assert metrics.value("authapp_database_statements_total", via="fast_path") > 0
    assert metrics.value("authapp_database_statements_total", via="session") > 0


def test_what_alerts_ask_for_is_there_before_it_happens(metrics: Metrics) -> None:
    """In a series that appears with its first event, Prometheus sees no increase."""
    text = metrics.get().text
    for series in (
        'authapp_mail_attempts_total{kind="reset_password",outcome="given_up"} 0.0',
        'authapp_mail_attempts_total{kind="unknown",outcome="dropped"} 0.0',
        'authapp_database_connection_wait_seconds_sum{via="fast_path"} 0.0',
        'authapp_audit_events_total{type="refresh_token.reused"}',
        "authapp_password_hashes_refused_total 0.0",
    ):
        assert series in text


def test_only_the_metrics_are_at_their_port_and_they_are_at_no_other(metrics: Metrics) -> None:
    assert metrics.get("/").status_code == metrics.get("/api/v1/ping").status_code == 404
    assert metrics.get(method="POST").status_code == 501
    assert metrics.server.call("GET", "/metrics").status_code == 404


def test_clients_at_the_port_that_say_nothing_do_not_hold_up_requests(metrics: Metrics) -> None:
    silent = [socket.create_connection(("127.0.0.1", metrics.port), timeout=5) for _ in range(12)]
    try:
        assert metrics.server.call("GET", "/health/live").status_code == 200
        # They are dropped, and scrapes are answered again.
        wait_until(metrics.is_answering)
    finally:
        for each in silent:
            each.close()


@pytest.mark.parametrize(
    ("head", "data"),
    [
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n" * 5_000),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65_536),
        (b"GET /metrics HTTP/1.1\r\n", b"X: y\r\n" * 5_000),
        (b"", b"x" * 65_536),
        (b"", b"\r\n" * 5_000),
    ],
    ids=["chunks", "length", "headers", "line", "empty lines"],
)
def test_clients_at_the_port_that_send_without_end_hold_up_nobody(metrics: Metrics, head: bytes, data: bytes) -> None:
    senders = [Sender(metrics.port, head, data) for _ in range(3 * WORKERS)]
    for sender in senders:
        sender.start()
    try:
        assert metrics.server.call("GET", "/health/live").status_code == 200
        wait_until(metrics.is_answering)
    finally:
        for sender in senders:
            sender.join()
    assert max(sender.lasted for sender in senders) < UNBOUNDED - 2, "they have been hung up on"


def test_nothing_of_a_client_at_the_port_is_logged(metrics: Metrics) -> None:
    before = len(metrics.server.log)
    for request_ in (
        b"GET /s3cret\r\n\r\n",
        b"s3cret\r\n\r\n",
        b"GET /s3cret HTTP/9.9\r\n\r\n",
        b"GET /s3cret HTTP/1.1\r\nContent-Length: s3cret\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n",
        b"GET /s3cret HTTP/1.1\r\ns3cret\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: s3cret\r\n",
    ):
        with socket.create_connection(("127.0.0.1", metrics.port), timeout=10) as client:
            client.sendall(request_)
            while client.recv(65_536):
                pass
    lines = metrics.server.log[before:].splitlines()
    assert not [line for line in lines if "s3cret" in line or not isinstance(json.loads(line), dict)]


def test_a_folder_that_a_cleaner_removes_stops_no_worker(metrics: Metrics) -> None:
    (folder,) = metrics.folder.glob("authapp-metrics-*")
    started = metrics.server.log.count("Worker ready")
    shutil.rmtree(folder)
    assert metrics.get().status_code == 500
    # Routes and methods that have not been counted yet.
    assert metrics.server.call("GET", "/.well-known/jwks.json").status_code == 200
    killed = metrics.workers().pop()
    psutil.Process(killed).kill()
    wait_until(lambda: metrics.server.log.count("Worker ready") > started)
    assert metrics.server.log.count("The folder of the metrics was gone") == 1
    assert metrics.server.call("GET", "/health/ready").status_code == 200
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert metrics.value("authapp_database_up") == 1
