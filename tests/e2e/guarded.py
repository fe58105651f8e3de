"""An nginx with the shipped configuration that asks a verifier before each request to a guarded service."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from e2e.others import installed, rendered, running
from ports import free_port

# What Debian's nginx would write below /var is written to the test's own folder.
NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/authapp.conf;
}}
"""


class Echo(BaseHTTPRequestHandler):
    """The guarded service: it answers with the headers and the body that it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        body = json.dumps({"headers": dict(self.headers), "body": sent}).encode()
        self.send_response(500 if self.path.endswith("/broken") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


class Verifier(Echo):
    """It answers with the status, ``X-Problem-Code`` and ``X-Auth-Scope`` that stand in the token."""

    def do_GET(self) -> None:
        status, code, scope = [*self.headers["Authorization"].removeprefix("Bearer ").split("."), "", ""][:3]
        self.send_response(int(status))
        if code:
            self.send_header("X-Problem-Code", code)
        if scope:
            self.send_header("X-Auth-Scope", scope)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def echoing(handler: type[Echo] = Echo) -> Iterator[int]:
    """Lend the port of a guarded service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        service.daemon_threads = True
        thread = threading.Thread(target=service.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield service.server_address[1]
        finally:
            service.shutdown()
            thread.join()


@contextmanager
def guarding(folder: Path, authapp: int, service: int) -> Iterator[str]:
    """Lend the address of an nginx with the shipped configuration, between ``authapp`` and ``service``."""
    folder.mkdir()
    port = free_port()
    replacements = {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{authapp};",
        "server 127.0.0.1:9000;": f"server 127.0.0.1:{service};",
        "    listen 80;": f"    listen 127.0.0.1:{port};",
    }
    (folder / "authapp.conf").write_text(rendered("nginx/authapp.conf", replacements))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    log = folder / "error.log"
    command = [installed("nginx"), "-p", str(folder), "-e", str(log), "-c", str(folder / "nginx.conf")]
    with running(command, port, log):
        yield f"http://127.0.0.1:{port}"


def ask(gate: str, token: str | None = None, path: str = "/app/", **options: Any) -> requests.Response:
    headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    return requests.request(options.pop("method", "GET"), gate + path, headers=headers, timeout=30, **options)


def received(response: requests.Response) -> dict[str, str]:
    """Return the headers that the guarded service was sent."""
    assert response.status_code == 200, response.text
    headers: dict[str, str] = response.json()["headers"]
    return headers
