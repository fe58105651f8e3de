"""Certificates of authorities are read beside the event loop: it takes tens of milliseconds."""

import ssl
import threading
from collections.abc import Callable

import pytest

from authapp.domain.http_client import HTTPClient
from authapp.domain.mail import smtp_client


@pytest.mark.parametrize(
    "context", [smtp_client._tls_context, lambda: HTTPClient(at_once=1, max_bytes=1)._tls], ids=["SMTP", "HTTP"]
)
def test_they_are_read_on_another_thread(
    monkeypatch: pytest.MonkeyPatch, context: Callable[[], ssl.SSLContext]
) -> None:
    threads: list[int] = []
    read = ssl.create_default_context

    def recorded() -> ssl.SSLContext:
        threads.append(threading.get_ident())
        return read()

    monkeypatch.setattr(ssl, "create_default_context", recorded)
    assert context().check_hostname
    assert len(threads) == 1
    assert threads != [threading.get_ident()]
