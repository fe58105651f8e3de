"""Servers that send without end, as fast as they can, asked under gevent in a process of its own.

They are in another process: in one process they would have to take turns, which is what the client must not rely on.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from database.test_wait_callback import under_gevent

FLOODING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
begin, again = (each.encode().decode("unicode_escape").encode() for each in sys.argv[1:])
while True:
    connection, _ = listener.accept()
    try:
        connection.sendall(begin)
        while True:
            connection.sendall(again * 10_000)
    except OSError:
        connection.close()
"""


@contextmanager
def flooding(begin: str, again: str) -> Iterator[int]:
    """Run a server that sends ``begin`` and then ``again`` for ever, whatever it is sent; return its port."""
    command = [sys.executable, "-c", FLOODING, begin, again]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


SEND = """
from email.message import EmailMessage
from authapp.config import MailServer
from authapp.domain.mail.smtp import SMTPTransport
message = EmailMessage()
message.set_content("Hello")
server = MailServer("smtp", host="127.0.0.1", port={port}, tls="off")
try:
    SMTPTransport(server, "no-reply@example.com", 5).send(message, "ada@example.com")
except Exception as failure:
    print(type(failure).__name__, failure)
"""


@pytest.mark.parametrize(
    ("begin", "again", "failure"),
    [
        ("", r"220-here\r\n", "ServerUnavailable"),
        (r"220 here\r\n", r"250-here\r\n", "ServerUnavailable"),
        (r"220 here\r\n250 here\r\n", r"250-ok\r\n", "ServerUnavailable"),
        (r"220 here\r\n250 here\r\n250 ok\r\n", r"250-ok\r\n", "TemporaryFailure"),
        (r"220 here\r\n250 here\r\n250 ok\r\n250 ok\r\n354 go on\r\n", r"250-ok\r\n", "TemporaryFailure"),
    ],
    ids=["greeting", "EHLO", "sender", "recipient", "text"],
)
def test_a_mail_server_that_never_ends_a_reply_is_given_up(begin: str, again: str, failure: str) -> None:
    with flooding(begin, again) as port:
        printed = under_gevent(SEND.format(port=port))
    assert printed == f"{failure} The connection failed: a reply is too long.\n"


FETCH = """
from authapp.domain.http_client import HTTPClient, HTTPFailure, HTTPRequest
try:
    HTTPClient(at_once=1, max_bytes=100_000).fetch(HTTPRequest("http://127.0.0.1:{port}/"), 5)
except HTTPFailure as failure:
    print(failure)
"""


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        ("", r"HTTP/1.1 100 Continue\r\n\r\n"),
        (r"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", r"1;%s\r\nx\r\n" % ("x" * 60_000)),
        (r"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", r"X: y\r\n"),
    ],
    ids=["100 Continue", "chunks", "trailers"],
)
def test_a_server_of_others_that_never_ends_an_answer_is_given_up(begin: str, again: str) -> None:
    with flooding(begin, again) as port:
        printed = under_gevent(FETCH.format(port=port))
    assert printed == "The answer is too long.\n"
