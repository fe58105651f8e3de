"""Mail that arrives: real servers of mail, real workers, and processes that are killed in the middle."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from authapp import create_app
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain.mail import outbox
from conftest import dispose
from databases import Databases
from e2e.processes import ROOT, environment, flask, serving
from factories import a_user
from mail_servers import Certificates, Mailbox, mail_host, raw_host
from ports import free_port
from settings import settings

CAUSE = RequestContext(ip_address="192.0.2.7", user_agent="curl/8", request_id="r-1", principal=None)
SECONDS = 60
"""The longest that a test waits for something; none should."""


class Post:
    """A database with one account, the mails in it, and the environment for processes that send them."""

    def __init__(self, url: str, app: Flask, certificates: Certificates, mail_port: int) -> None:
        self.app, self.certificates, self.port = app, certificates, mail_port
        self.user_id: UUID = a_user(app, "ada").id
        self.engine: Engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self.variables = environment(
            url,
            SSL_CERT_FILE=str(certificates.file),
            AUTHAPP_MAIL_URL=f"smtp://authapp:s%25cret@localhost:{mail_port}",
            AUTHAPP_MAIL_FROM="Accounts <no-reply@example.com>",
            AUTHAPP_MAIL_TIMEOUT="5",
        )

    def add(self, count: int = 1, kind: str = "password_changed") -> list[str]:
        with self.app.app_context(), transaction():
            about = {"user_id": self.user_id, "address": "ada@example.com", "context": CAUSE}
            ids = [outbox.add(kind, **about) for _ in range(count)]
        return [f"<{mail_id}@example.com>" for mail_id in ids]

    def rows(self) -> int:
        return int(self.ask("SELECT count(*) FROM outgoing_mail"))

    def ask(self, statement: str) -> str:
        with self.engine.connect() as connection:
            return str(connection.execute(text(statement)).scalar())

    def end_claims(self) -> None:
        """Let the leases of a sender that was killed be over."""
        with self.engine.connect() as connection:
            connection.execute(text("UPDATE outgoing_mail SET claimed_until = now() - interval '1 second'"))

    @contextlib.contextmanager
    def watch(self, **changes: str) -> Iterator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "mail", "deliver", "--watch"],
            cwd=ROOT,
            env=self.variables | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def post(databases: Databases, tmp_path: Path) -> Iterator[Post]:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        made = Post(url, app, Certificates(tmp_path), free_port())
        yield made
        made.engine.dispose()
        dispose(app)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_workers_send_what_requests_store(post: Post, tmp_path: Path) -> None:
    with mail_host(post.certificates.context(), port=post.port) as host, serving(tmp_path, post.variables) as server:
        wanted = post.add(3)
        wait_until(lambda: post.rows() == 0)
        assert sorted(host.mailbox.ids) == sorted(wanted)
        assert '"ERROR"' not in server.log
    assert post.ask("SELECT count(*) FROM audit_events WHERE type = 'mail.sent'") == "3"


def test_workers_that_are_not_to_send_send_nothing(post: Post, tmp_path: Path) -> None:
    variables = post.variables | {"AUTHAPP_MAIL_SENDER": "off"}
    with mail_host(post.certificates.context(), port=post.port) as host, serving(tmp_path, variables):
        post.add()
        time.sleep(4)
        assert (post.rows(), host.mailbox.connections) == (1, 0)
        assert flask(variables, "mail", "deliver").stdout.startswith("1 sent, ")
    assert len(host.mailbox.ids) == 1


def test_a_thousand_mails_wait_for_a_server_that_is_away_then_each_goes_out_once_beside_requests(
    post: Post, tmp_path: Path
) -> None:
    wanted = post.add(1000)
    with serving(tmp_path, post.variables | {"AUTHAPP_DATABASE_TIMEOUT": "20"}) as server:
        token = logged_in(server.url)
        wait_until(lambda: "all mails wait: The connection failed" in server.log)
        assert post.rows() == 1000
        # While a sender tries, its claim counts as an attempt.
        wait_until(lambda: post.ask("SELECT max(attempts) FROM outgoing_mail") == "0")
        with mail_host(post.certificates.context(), port=post.port) as host:
            answers = []
            while post.rows():
                answers.append(requests.get(f"{server.url}/api/v1/ping", headers=token, timeout=5).status_code)
            assert set(answers) == {200}
        assert sorted(host.mailbox.ids) == sorted(wanted), "each once"
        assert '"code": "service_unavailable"' not in server.log


def test_a_mail_server_that_says_nothing_delays_no_request_and_no_stop(post: Post, tmp_path: Path) -> None:
    post.add(10)
    connected = threading.Event()

    def say_nothing(_connection: socket.socket) -> None:
        connected.set()
        time.sleep(30)

    with raw_host(say_nothing) as port:
        variables = post.variables | {"AUTHAPP_MAIL_URL": f"smtp://localhost:{port}", "WEB_CONCURRENCY": "1"}
        with serving(tmp_path, variables) as server:
            token = logged_in(server.url)
            assert connected.wait(SECONDS)
            for _ in range(50):
                answer = requests.get(f"{server.url}/api/v1/ping", headers=token, timeout=1)
                assert (answer.status_code, answer.elapsed.total_seconds() < 1) == (200, True)
            start = time.monotonic()
            server.stop()
            assert time.monotonic() - start < 10
    assert post.rows() == 10


def logged_in(url: str) -> dict[str, str]:
    credentials = {"username": "ada", "password": "correct horse battery staple"}
    answer = requests.post(f"{url}/api/v1/auth/login", json=credentials, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_sender_that_is_killed_before_it_sends_loses_nothing(post: Post) -> None:
    wanted, seen = post.add(5), threading.Event()

    def block(_: str) -> None:
        seen.set()
        time.sleep(2)

    box = Mailbox(mail_answer=block)
    with mail_host(post.certificates.context(), box, port=post.port), post.watch() as sender:
        assert seen.wait(SECONDS)
        sender.kill()
        sender.wait()
    assert post.rows() == 5
    post.end_claims()
    with mail_host(post.certificates.context(), port=post.port) as host:
        assert flask(post.variables, "mail", "deliver").returncode == 0
    assert sorted(host.mailbox.ids) == sorted(wanted)


def test_a_sender_that_is_killed_after_it_has_sent_sends_again_with_the_same_id(post: Post) -> None:
    wanted, box, killed = post.add(1), Mailbox(), threading.Event()
    with mail_host(post.certificates.context(), box, port=post.port), post.watch() as sender:

        def kill(message: EmailMessage) -> None:
            if not killed.is_set():
                box.messages.append(message)
                sender.kill()
                killed.set()

        box.data_answer = kill
        assert killed.wait(SECONDS)
        sender.wait()
    assert post.rows() == 1
    first = box.ids[0]
    post.end_claims()
    with mail_host(post.certificates.context(), port=post.port) as host:
        assert flask(post.variables, "mail", "deliver").returncode == 0
    assert host.mailbox.ids == [first] == wanted
    assert post.rows() == 0


def test_a_hang_up_in_the_middle_of_a_mail_loses_and_holds_up_nothing(post: Post) -> None:
    wanted, breaks = post.add(4), iter([True, False, False, False, False])
    box = Mailbox()
    with mail_host(post.certificates.context(), box, port=post.port, command_call_limit=None):
        broken = set()

        def answer(message: EmailMessage) -> str | None:
            if next(breaks, False):
                broken.add(message["Message-ID"])
                raise ConnectionResetError
            return None

        box.data_answer = answer
        flask(post.variables, "mail", "deliver")
        assert sorted(box.ids) == sorted(set(wanted) - broken)
        assert post.rows() == len(broken) == 1
        with post.engine.connect() as connection:
            connection.execute(text("UPDATE outgoing_mail SET next_attempt_at = now()"))
        flask(post.variables, "mail", "deliver")
    assert sorted(box.ids) == sorted(wanted)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_sender_stops_cleanly_when_it_is_asked_to(post: Post, stop: signal.Signals) -> None:
    with mail_host(post.certificates.context(), port=post.port) as host, post.watch() as sender:
        post.add(1)
        wait_until(lambda: len(host.mailbox.ids) == 1)
        sender.send_signal(stop)
        output, _ = sender.communicate(timeout=20)
    assert (sender.returncode, output) == (0, "")


def test_several_senders_share_the_mails(post: Post) -> None:
    wanted = post.add(200)
    with (
        mail_host(post.certificates.context(), port=post.port) as host,
        post.watch(),
        post.watch(),
    ):
        wait_until(lambda: post.rows() == 0)
        assert sorted(host.mailbox.ids) == sorted(wanted)


def test_the_commands_say_what_is_wrong_with_the_server(post: Post) -> None:
    post.add(2)
    delivered = flask(post.variables, "mail", "deliver")
    assert (delivered.returncode, delivered.stderr) == (1, "Error: The connection failed: Connection refused.\n")
    queue = flask(post.variables, "mail", "queue")
    assert queue.stdout.startswith("2 queued, ")
    doctor = flask(post.variables, "doctor")
    assert "fail  mail: The connection failed: Connection refused." in doctor.stdout
    with mail_host(post.certificates.context("mail.example.org"), port=post.port):
        doctor = flask(post.variables, "doctor")
        assert "fail  mail: The server's certificate is not accepted: Hostname mismatch" in doctor.stdout
    with mail_host(post.certificates.context(), port=post.port) as host:
        assert "ok    mail: The server lets authapp in." in flask(post.variables, "doctor").stdout
        tested = flask(post.variables, "mail", "test", "grace@bücher.example")
        assert tested.stdout.startswith("The server accepted the mail <"), tested.stderr
    assert host.mailbox.recipients == ["grace@xn--bcher-kva.example"]


def test_without_a_mail_server_the_commands_say_what_to_set(post: Post) -> None:
    variables = {name: value for name, value in post.variables.items() if not name.startswith("AUTHAPP_MAIL_")}
    for arguments in (["deliver"], ["deliver", "--watch"], ["test", "ada@example.com"]):
        done = flask(variables, "mail", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: AUTHAPP_MAIL_URL is not set: set it to ")
        assert len(done.stderr.splitlines()) == 1
    # What waits from before is shown all the same.
    assert flask(variables, "mail", "queue").returncode == 0
