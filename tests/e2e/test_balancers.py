"""Two nodes behind the balancers that deploy/ ships configurations for: one may go at any time, and is not missed."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from itertools import cycle
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest
import requests
import trustme

from databases import Databases
from e2e.clients import clients
from e2e.failing_nodes import Echo, FailingNode, Lost, Silent
from e2e.guarded import NGINX
from e2e.others import installed, rendered, running, unavailable
from e2e.processes import Server, environment
from e2e.trouble import LIVE, LIVE_P99, LONGEST, PING, Tokens, judge_answers, wait
from e2e.waits import answered_soon
from ports import free_port


@contextmanager
def nginx_before(folder: Path, ports: list[int], *, addresses: bool = False) -> Iterator[int]:
    """Lend the port of an nginx with the shipped configuration for two nodes.

    With ``addresses``, each client begins with a line of the PROXY protocol, which says what its address is.
    """
    folder.mkdir()
    port = free_port()
    replacements = {
        f"server node{number}:8000": f"server 127.0.0.1:{each}" for number, each in enumerate(ports, start=1)
    }
    listen = f"    listen 127.0.0.1:{port}"
    believed = f"{listen} proxy_protocol; set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"
    replacements["    listen 80;"] = believed if addresses else f"{listen};"
    (folder / "authapp.conf").write_text(rendered("nginx/balanced.conf", replacements))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    log = folder / "error.log"
    with running([installed("nginx"), "-p", str(folder), "-e", str(log), "-c", str(folder / "nginx.conf")], port, log):
        yield port


@contextmanager
def haproxy_before(
    folder: Path, ports: list[int], timeout: str = "10s", *, addresses: bool = False, tls: Path | None = None
) -> Iterator[int]:
    """Lend the port of an HAProxy with the shipped configuration for two nodes, which waits ``timeout`` for them.

    With ``addresses``, each client begins with a line of the PROXY protocol, which says what its address is. ``tls`` is
    a file with a key and a certificate, for clients that use TLS.
    """
    folder.mkdir()
    port = free_port()
    replacements = {f"node{number}:8000": f"127.0.0.1:{each}" for number, each in enumerate(ports, start=1)}
    if addresses:
        replacements |= {
            f"tcp-request connection {act}": f"tcp-request session {act}" for act in ("track-sc0", "reject")
        }
    options = (" accept-proxy" if addresses else "") + (f" ssl crt {tls}" if tls else "")
    replacements["    bind :80"] = f"    bind 127.0.0.1:{port}{options}"
    replacements["timeout server 10s"] = f"timeout server {timeout}"
    configuration = folder / "haproxy.cfg"
    configuration.write_text(rendered("haproxy/haproxy.cfg", replacements))
    with running([installed("haproxy"), "-db", "-f", str(configuration)], port, folder / "log"):
        yield port


@pytest.mark.alone  # clients of two balancers take both processors, and the longest answer is measured
def test_a_rolling_restart_of_two_nodes_costs_no_request(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url, ExitStack() as stack:
        variables = environment(url, WEB_CONCURRENCY="1")
        nodes = [started(stack, tmp_path, variables) for _ in range(2)]
        for node in nodes:
            node.wait_until()
        ports = [node.port for node in nodes]
        balancers = [
            stack.enter_context(nginx_before(tmp_path / "nginx", ports)),
            stack.enter_context(haproxy_before(tmp_path / "haproxy", ports)),
        ]

        def measure() -> list[float]:
            tokens = Tokens(url, spare=1000)
            with ExitStack() as under_load:
                loads = [
                    under_load.enter_context(clients(port, each))
                    for port, each in zip(balancers, plans(tokens), strict=True)
                ]
                for number in range(2):
                    wait(0.7)
                    nodes[number].stop()
                    nodes[number] = started(stack, tmp_path, variables, ports[number])
                    nodes[number].wait_until()
                wait(0.7)
            for load in loads:
                judge_answers(load)
                assert {answer.status for answer in load.answers} == {200, 204, 401}
            return [answer.seconds for load in loads for answer in load.answers]

        answered_soon(measure, LONGEST)

        for node in nodes:
            node.process.terminate()
        for node in nodes:
            node.process.wait(30)
        for port in balancers:
            unavailable(requests.get(f"http://127.0.0.1:{port}{PING}", timeout=5))


def plans(tokens: Tokens) -> Iterator[list[dict[str, Any]]]:
    """Yield what clients do for each balancer; a POST among it, which may not be sent to a second node."""
    shared = [plan for plan in tokens.plans(clients=4) if plan["name"] != "logout"]
    for half in (tokens.spare[::2], tokens.spare[1::2]):
        yield [*shared, tokens.logouts(clients=4, pause=0.02) | {"tokens": half}]


def started(stack: ExitStack, folder: Path, variables: dict[str, str], port: int | None = None) -> Server:
    """Return a node that is starting."""
    node = Server(folder, variables, port=port)
    stack.callback(node.stop)
    return node


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return two files: a key with its certificate for 127.0.0.1, and the authority to trust."""
    authority, tls, trusted = trustme.CA(), folder / "tls.pem", folder / "trusted.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tls))
    authority.cert_pem.write_to_path(str(trusted))
    return tls, trusted


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_haproxy_tells_the_scheme_of_the_client(tmp_path: Path, scheme: str) -> None:
    node = Echo()
    node.start()
    tls, trusted = certificate(tmp_path)
    before = haproxy_before(tmp_path / "haproxy", [node.port, node.port], tls=tls if scheme == "https" else None)
    with closing(node), before as port:
        address, claimed = f"{scheme}://127.0.0.1:{port}/", {"X-Forwarded-Proto": "gopher"}
        head = requests.get(address, headers=claimed, verify=str(trusted), timeout=5).text.lower()
    schemes = [line for line in head.splitlines() if line.startswith("x-forwarded-proto")]
    assert schemes == [f"x-forwarded-proto: {scheme}"]


@pytest.mark.parametrize(("node", "status"), [(Lost, 502), (Silent, 504)])
def test_haproxy_says_in_json_that_a_node_gave_no_answer(tmp_path: Path, node: type[FailingNode], status: int) -> None:
    failing = node()
    failing.start()
    with closing(failing), haproxy_before(tmp_path / "haproxy", [failing.port, free_port()], "500ms") as port:
        unavailable(requests.post(f"http://127.0.0.1:{port}/nothing", data=b"{}", timeout=5), status)


@pytest.mark.parametrize("before", [nginx_before, haproxy_before])
def test_of_requests_whose_node_hangs_up_only_a_get_goes_to_the_other_node(
    server: Server, tmp_path: Path, before: Callable[[Path, list[int]], AbstractContextManager[int]]
) -> None:
    lost = Lost()
    lost.start()
    with closing(lost), before(tmp_path / "balancer", [lost.port, server.port]) as port, requests.Session() as client:
        deadline = time.monotonic() + 30
        while lost.requests.count(b"GET") < 3:
            assert time.monotonic() < deadline
            assert client.get(f"http://127.0.0.1:{port}/nothing").status_code == 404
        for method in ("POST", "PATCH", "PUT", "DELETE"):
            while method.encode() not in lost.requests:
                assert time.monotonic() < deadline
                status = 0  # HAProxy may close the connection without an answer
                with contextlib.suppress(requests.ConnectionError):
                    status = client.request(method, f"http://127.0.0.1:{port}/nothing", data=b"{}").status_code
            assert lost.requests.count(method.encode()) == 1
            assert status in {0, 502, 503}, f"{method} was sent to the other node, too"


@pytest.mark.parametrize("before", [nginx_before, haproxy_before])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
def test_a_request_that_a_node_does_not_accept_goes_to_the_other_node(
    server: Server, tmp_path: Path, before: Callable[[Path, list[int]], AbstractContextManager[int]], method: str
) -> None:
    with before(tmp_path / "balancer", [free_port(), server.port]) as port:
        for _ in range(4):
            answer = requests.request(method, f"http://127.0.0.1:{port}/nothing", data=b"{}", timeout=5)
            assert answer.status_code == 404


@pytest.mark.parametrize("before", [nginx_before, haproxy_before])
@pytest.mark.parametrize(
    ("holding", "refused", "answered"),
    [
        (["192.0.2.1"], "192.0.2.1", "192.0.2.2"),
        ([f"2001:db8:1:2:{number:x}::{number:x}" for number in range(100)], "2001:db8:1:2::a", "2001:db8:1:3::a"),
        (["::ffff:192.0.2.1"], "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
    ],
    ids=["IPv4", "IPv6", "IPv4 on a socket for both"],
)
def test_a_client_may_hold_a_hundred_connections(
    server: Server,
    tmp_path: Path,
    before: Callable[..., AbstractContextManager[int]],
    holding: list[str],
    refused: str,
    answered: str,
) -> None:
    with (
        before(tmp_path / "balancer", [server.port, server.port], addresses=True) as port,
        ExitStack() as stack,
    ):

        def sent(address: str, data: bytes) -> socket.socket:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            family = "TCP6" if ":" in address else "TCP4"
            client.sendall(f"PROXY {family} {address} {address} 1 1\r\n".encode() + data)
            return client

        for _, address in zip(range(100), cycle(holding), strict=False):
            sent(address, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbody")
        wait(0.5)
        ping = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        answers = {}
        for address in (refused, answered):
            answers[address] = HTTPResponse(sent(address, ping))
            answers[address].begin()
        assert answers[answered].status == 200
        assert answers[refused].status == 429
        assert answers[refused].headers["Content-Type"] == "application/problem+json"
        assert answers[refused].headers["Retry-After"]
        assert json.load(answers[refused])["status"] == 429


@pytest.mark.alone  # an answer is timed
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_haproxy_closes_silent_connections_of_one_client_beyond_two_hundred(
    server: Server, tmp_path: Path, scheme: str
) -> None:
    tls, trusted = certificate(tmp_path)
    before = haproxy_before(tmp_path / "haproxy", [server.port, server.port], tls=tls if scheme == "https" else None)
    with before as port:

        def measure() -> Iterator[float]:
            with ExitStack() as stack:
                silent = [stack.enter_context(opened(port)) for _ in range(250)]
                wait(0.5)
                # Threads of HAProxy that count two clients at once may close both.
                assert 50 <= sum(map(is_closed, silent)) < 60
                other = client_of_another_address(scheme, port, trusted)
                start = time.monotonic()
                other.request("GET", LIVE)
                assert other.getresponse().status == 200
                yield time.monotonic() - start
                other.close()

        answered_soon(measure, LIVE_P99)


def client_of_another_address(scheme: str, port: int, trusted: Path) -> HTTPConnection:
    """Return a client whose address is 127.0.0.2."""
    options: dict[str, Any] = {"timeout": 5, "source_address": ("127.0.0.2", 0)}
    if scheme == "https":
        return HTTPSConnection("127.0.0.1", port, context=create_default_context(cafile=trusted), **options)
    return HTTPConnection("127.0.0.1", port, **options)


def opened(port: int) -> socket.socket:
    """Return a connection that sends nothing; the other side may have closed it already."""
    client = socket.socket()
    client.settimeout(5)
    with contextlib.suppress(ConnectionError):
        client.connect(("127.0.0.1", port))
    return client


def is_closed(client: socket.socket) -> bool:
    """Tell whether the other side has closed a connection by which it sent nothing."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_nginx_closes_silent_connections_after_five_seconds(tmp_path: Path) -> None:
    with nginx_before(tmp_path / "nginx", [free_port(), free_port()]) as port, ExitStack() as stack:
        silent = [stack.enter_context(opened(port)) for _ in range(3)]
        silent[1].sendall(b"GET / HTTP/1.1\r\n")
        wait(6.5)
        assert [is_closed(client) for client in silent] == [True] * 3


MALFORMED = {
    "no request": b"GARBAGE\r\n\r\n",
    "a long address": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
def test_what_nginx_cannot_read_it_refuses_in_the_shape_of_authapp(tmp_path: Path, request_bytes: bytes) -> None:
    with nginx_before(tmp_path / "nginx", [free_port(), free_port()]) as port:
        check_malformed(port, request_bytes)


def check_malformed(port: int, request_bytes: bytes) -> None:
    """Check that a request is refused as one that authapp itself cannot read."""
    with opened(port) as client, contextlib.closing(HTTPResponse(client)) as answer:
        client.sendall(request_bytes)
        answer.begin()
        assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert json.load(answer)["code"] == "malformed_request"
