"""Host names of PostgreSQL servers are looked up in time, and while the event loop serves everybody else."""

import json
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from authapp.database import deadline, host_names, wait_callback
from authapp.database.connect import Servers, connect_arguments
from database.test_wait_callback import under_gevent
from e2e.trouble import Postgres
from serving.certificates import write_certificate

NOT_LISTENING = "127.0.0.1"
"""The servers here listen at other addresses of this machine, at the same port."""

SLOW = """
import _socket, json, time

native_sleep, look_ups = time.sleep, []

def slow_look_up(host, *_, **__):
    look_ups.append(host)
    native_sleep(0.5)
    return [(_socket.AF_INET, _socket.SOCK_STREAM, 6, "", ({address!r}, 0))]

_socket.getaddrinfo = slow_look_up  # gevent's resolver calls it on a thread
from gevent import monkey
monkey.patch_all()
import gevent, gevent.pool, psycopg2
from authapp.database import wait_callback
from authapp.database.connect import Servers, connect_arguments

wait_callback.install()
servers, ticks = Servers({url!r}, connect_arguments({seconds})), []

def open_one(_):
    try:
        return servers.open().info.host
    except psycopg2.OperationalError as error:
        return str(error)

gevent.spawn(lambda: [(gevent.sleep(0.01), ticks.append(1)) for _ in range(1000)])
print(json.dumps([gevent.pool.Pool().map(open_one, range(5)), len(ticks), look_ups]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("names")
    server = Postgres(folder / "server", (f"listen_addresses={an_address()}",))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def time_limits() -> None:
    """Without the wait callback libpq waits for ever."""
    wait_callback.install()


def an_address() -> str:
    """Return one of the many addresses that a machine has for itself: PostgreSQL's port there is free."""
    return ".".join(["127", *(str(random.randrange(1, 255)) for _ in range(3))])


def address_of(server: Postgres) -> str:
    ((address,),) = server.execute("postgres", "SHOW listen_addresses")
    return str(address)


def printed_by(program: str) -> tuple[list[str], int, list[str]]:
    """Run ``SLOW``; return the results of five that connect, how often another greenlet ran, and the look-ups."""
    results, ticks, look_ups = json.loads(under_gevent(program))
    return results, ticks, look_ups


def url(*hosts: str, **options: str) -> str:
    named = make_url("postgresql+psycopg2://postgres@/postgres").update_query_dict({"host": ",".join(hosts), **options})
    return named.render_as_string(hide_password=False)


def opened(*hosts: str, **options: str) -> dict[str, str]:
    """Connect, and return where to."""
    connection = Servers(url(*hosts, **options), connect_arguments(5)).open()
    try:
        return dict(connection.info.dsn_parameters)
    finally:
        connection.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of each name that can be looked up."""
    known: dict[str, list[str]] = {}

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror("Name or service not known")
        # As the C library does, once for each protocol.
        return [(socket.AF_INET, kind, 0, "", (address, 0)) for address in known[host] for kind in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_the_event_loop_goes_on_meanwhile_and_a_name_is_looked_up_once_for_all(server: Postgres) -> None:
    program = SLOW.format(address=address_of(server), url=url("db.example"), seconds=5)
    hosts, ticks, look_ups = printed_by(program)
    assert hosts == ["db.example"] * 5
    assert ticks > 20
    assert look_ups == ["db.example"]


def test_a_look_up_has_the_time_of_the_request(server: Postgres) -> None:
    program = SLOW.format(address=address_of(server), url=url("db.example"), seconds=0.2)
    errors, _, look_ups = printed_by(program)
    assert errors == ['could not translate host name "db.example" to address: no answer in time'] * 5
    assert look_ups == ["db.example"]


def test_without_gevent_it_has_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30) and [])
    deadline.start(0.1)
    try:
        with pytest.raises(psycopg2.OperationalError, match="no answer in time"):
            opened("db.example")
    finally:
        deadline.stop()
        release.set()


@contextmanager
def a_server_with_tls(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the address of a server that hangs up after TLS, and the certificate that it has for ``localhost``."""
    certificate, key = write_certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.recv(8)  # SSLRequest (PostgreSQL, section 54.2.10)
                client.sendall(b"S")
                with suppress(OSError), context.wrap_socket(client, server_side=True) as encrypted:
                    encrypted.recv(1)

    with socket.create_server((an_address(), 5432)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[0], certificate
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("host", "words"), [("localhost", "EOF detected|closed"), ("db.example", "does not match")])
def test_the_certificate_is_checked_against_the_name(
    names: dict[str, list[str]], tmp_path: Path, host: str, words: str
) -> None:
    with a_server_with_tls(tmp_path) as (address, certificate):
        names[host] = [address]
        with pytest.raises(psycopg2.OperationalError, match=words):
            opened(host, sslmode="verify-full", sslrootcert=str(certificate))


def test_each_address_of_a_name_is_tried_and_the_last_good_one_first(
    server: Postgres, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = address_of(server)
    names["db.example"] = [NOT_LISTENING, listening]
    tried: list[str] = []
    connect: Callable[..., Any] = psycopg2.connect

    def recorded(**arguments: Any) -> Any:
        tried.append(arguments["hostaddr"])
        return connect(**arguments)

    monkeypatch.setattr(psycopg2, "connect", recorded)
    servers = Servers(url("other.example", "db.example"), connect_arguments(5))
    for _ in range(2):
        servers.open().close()
    assert tried == [NOT_LISTENING, listening, listening]
    names["db.example"] = [NOT_LISTENING]
    with pytest.raises(psycopg2.OperationalError) as error:
        servers.open()
    assert 'host name "other.example" to address: Name or service not known' in str(error.value)
    assert "Connection refused" in str(error.value)


def test_an_address_of_which_a_part_is_frozen_leaves_time_for_the_next(
    server: Postgres, names: dict[str, list[str]]
) -> None:
    with socket.create_server((an_address(), 5432)) as silent:
        names["db.example"] = [silent.getsockname()[0], address_of(server)]
        assert opened("db.example")["hostaddr"] == address_of(server)


@pytest.mark.parametrize("host", ["", "/run/postgresql", "@authapp", "192.0.2.1", "2001:db8::1", "fe80::1%lo"])
def test_what_is_no_name_is_not_looked_up(host: str) -> None:
    assert not host_names.is_name(host)


def test_the_environment_may_name_the_host(
    server: Postgres, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    names["db.example"] = [address_of(server)]
    assert opened()["host"] == "db.example"


def test_after_a_look_up_that_failed_there_is_a_new_one(server: Postgres, names: dict[str, list[str]]) -> None:
    with pytest.raises(psycopg2.OperationalError, match="not known"):
        opened("db.example")
    names["db.example"] = [address_of(server)]
    assert opened("db.example")["host"] == "db.example"


def test_where_no_thread_can_be_started_the_look_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError, match="can't start new thread"):
            opened("db.example")
