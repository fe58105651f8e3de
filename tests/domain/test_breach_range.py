"""The server of a list of breached passwords: its answers, how long it is waited for, and its TLS."""

import datetime as dt
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authapp.domain.passwords.breach_range import AT_ONCE, RangeAPI
from authapp.domain.passwords.breach_source import BreachSourceError
from breach_files import NEVER_LOST
from range_server import BREACHED, PADDED, RangeServer, answer, digest, drip, range_server


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with range_server() as running:
        yield running


def contains(server: RangeServer, password: str) -> bool:
    return RangeAPI(server.address).has_digest(digest(password).encode())


def test_a_password_that_only_pads_the_answer_and_one_that_is_not_there_are_fine(server: RangeServer) -> None:
    assert not contains(server, PADDED)
    assert not contains(server, NEVER_LOST)


def test_the_case_of_an_answer_does_not_matter(server: RangeServer) -> None:
    server.behave = lambda handler: answer(handler, f"{digest(BREACHED)[5:].lower()}:1\n".encode())
    assert contains(server, BREACHED)


def test_a_look_up_of_a_name_that_hangs_does_not_hold_a_request(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: release.wait(10) and [])
    with pytest.raises(BreachSourceError, match="did not answer within"):
        contains(server, BREACHED)
    release.set()


def test_what_was_given_up_gives_its_place_back(server: RangeServer) -> None:
    server.behave = drip
    source = RangeAPI(server.address)
    for _ in range(AT_ONCE + 1):
        with pytest.raises(BreachSourceError, match="did not answer"):
            source.has_digest(digest(BREACHED).encode())
    assert all(source._client._slots.acquire(timeout=1) for _ in range(AT_ONCE))


def test_a_worker_asks_four_questions_at_once_and_no_more(server: RangeServer) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def counting(handler: BaseHTTPRequestHandler) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.1)
        with lock:
            now[0] -= 1
        answer(handler, b"0" * 35 + b":1")

    server.behave = counting
    source = RangeAPI(server.address)
    threads = [threading.Thread(target=source.has_digest, args=(digest(NEVER_LOST).encode(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(server.paths), most[0]) == (12, AT_ONCE)


def test_who_finds_every_place_taken_is_not_kept_waiting(server: RangeServer) -> None:
    source = RangeAPI(server.address)
    for _ in range(AT_ONCE):
        source._client._slots.acquire()
    with pytest.raises(BreachSourceError, match="under way"):
        source.has_digest(digest(BREACHED).encode())
    assert server.paths == []


def test_a_process_without_room_for_a_thread_gives_the_place_back(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RangeAPI(server.address)
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", _no_room)
        for _ in range(AT_ONCE + 1):
            with pytest.raises(BreachSourceError, match="no room"):
                source.has_digest(digest(BREACHED).encode())
    assert source.has_digest(digest(BREACHED).encode())


def _no_room(*_: Any) -> None:
    raise RuntimeError("can't start new thread")


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return the context of a server with a certificate for ``name``, and the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


@pytest.mark.parametrize(
    ("name", "trusted", "accepted"),
    [("localhost", True, True), ("localhost", False, False), ("example.com", True, False)],
)
def test_a_certificate_counts_only_if_it_is_trusted_and_names_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, accepted: bool
) -> None:
    context, public = certificate(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with range_server(context) as server:
        if accepted:
            assert contains(server, BREACHED)
        else:
            with pytest.raises(BreachSourceError, match="SSLCertVerificationError"):
                contains(server, BREACHED)
    assert bool(server.paths) is accepted


def test_a_proxy_of_the_environment_is_not_asked(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert contains(server, BREACHED)
