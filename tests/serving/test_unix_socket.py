"""On a Unix socket every client is somebody whom gunicorn would believe."""

import ast
import socket
from pathlib import Path

from serving.running import everything, gunicorn

FORWARDED = {
    "SCRIPT_NAME": "/evil",
    "PATH_INFO": "/evil",
    "REMOTE_USER": "admin",
    "REMOTE_ADDR": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
}


def test_a_client_cannot_say_where_the_application_is_nor_how_it_came(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with gunicorn(tmp_path, "--bind", f"unix:{path}", "hello:app") as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            headers = "".join(f"{name}: {value}\r\n" for name, value in FORWARDED.items())
            client.sendall(f"GET /environ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
            head, _, body = everything(client).partition(b"\r\n\r\n")
        assert b"200 OK" in head
        environ = ast.literal_eval(body.decode())
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/environ")
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["REMOTE_ADDR"] == ""
        assert {"REMOTE_USER", "HTTP_SCRIPT_NAME", "HTTP_PATH_INFO", "HTTP_REMOTE_USER"}.isdisjoint(environ)
        assert '"ERROR"' not in running.log
