"""The limits by address that docs/operations.md recommends for proxies: they stop guesses, and no honest client."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask import Flask

from doc_pages import TEXTS
from e2e.guarded import NGINX
from e2e.others import installed, rendered, running
from ports import free_port

GUESSES = {
    *("login", "login-links", "register", "second-factors", "step-ups", "passkey-logins", "password-resets"),
    "email-verifications",
}
OTHERS = {"introspect", "logout", "passkey-challenges", "providers", "refresh", "revoke", "verify"}
"""These take tokens and codes that nobody guesses, or give some. authapp itself counts a password in HTTP Basic."""

PAGE = TEXTS["docs/operations.md"]
ABOVE, WITHIN = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FRONTEND, TABLE = re.search(r"^```haproxy\n(.*?)\n(backend .*?)^```$", PAGE, re.MULTILINE | re.DOTALL).groups()
PATTERNS = re.findall(r"\S*\^/\S*", ABOVE + FRONTEND)


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    port, log = free_port(), folder / "log"
    server = f"{ABOVE}server {{\n    listen 127.0.0.1:{port};\n{WITHIN}"
    nobody = f"server 127.0.0.1:{free_port()};"
    replacements = {"server {\n    listen 80;\n": server, "server 127.0.0.1:8000;": nobody}
    (folder / "authapp.conf").write_text(rendered("nginx/authapp.conf", replacements))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    with running([installed("nginx"), "-p", str(folder), "-e", str(log), "-c", str(folder / "nginx.conf")], port, log):
        yield port


@contextmanager
def haproxy(folder: Path) -> Iterator[int]:
    port, configuration = free_port(), folder / "haproxy.cfg"
    replacements = {f"node{number}:8000": f"127.0.0.1:{free_port()}" for number in (1, 2)}
    replacements |= {
        "    bind :80": f"    bind 127.0.0.1:{port}",
        "    default_backend nodes\n": f"{FRONTEND}    default_backend nodes\n\n{TABLE}",
    }
    configuration.write_text(rendered("haproxy/haproxy.cfg", replacements))
    with running([installed("haproxy"), "-db", "-f", str(configuration)], port, folder / "log"):
        yield port


def statuses(port: int, path: str, count: int) -> set[int]:
    """Return what so many requests are answered. No node runs: what is not refused is a 502 or 503."""
    answers = set()
    for _ in range(count):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", path)
        answers.add(connection.getresponse().status)
        connection.close()
    return answers


@pytest.mark.parametrize("proxy", [nginx, haproxy])
def test_guesses_of_an_address_are_refused_and_refreshes_and_introspections_are_not(
    proxy: Callable[[Path], AbstractContextManager[int]], tmp_path: Path
) -> None:
    with proxy(tmp_path) as port:
        for name in sorted(OTHERS):
            assert 429 not in statuses(port, f"/api/v1/auth/{name}", 25)
        assert 429 in statuses(port, "/api/v1/auth/login", 25)
        for path in ("/api/v1/auth/second-factors", "/api/v1/%61uth/login"):
            assert statuses(port, path, 1) == {429}
        assert 429 not in statuses(port, "/api/v1/auth/refresh", 25)


def test_both_proxies_count_the_same_of_the_routes_that_there_are(app: Flask) -> None:
    names = {str(rule).split("/")[4] for rule in app.url_map.iter_rules() if str(rule).startswith("/api/v1/auth/")}
    assert names == GUESSES | OTHERS, "decide whether the new one is something to guess"
    assert len(PATTERNS) == 2
    for pattern in PATTERNS:
        counted = {name for name in names if re.match(pattern.removeprefix("~"), f"/api/v1/auth/{name}")}
        assert counted == GUESSES
