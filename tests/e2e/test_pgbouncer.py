"""Behind the real PgBouncer, which lends a server connection for one transaction at a time."""

import os
import pwd
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from databases import Databases
from e2e.clients import clients
from e2e.others import installed, rendered, running
from e2e.processes import Server, environment, serving
from e2e.trouble import LOGOUT, PING, Tokens, judge, wait
from factories import PASSWORD
from ports import free_port


def configured(url: str, port: int, folder: Path) -> str:
    """Return the shipped configuration, with the test's own addresses, and with few connections for many clients."""
    upstream = make_url(url)
    where = f"host={upstream.query.get('host', upstream.host)} port={upstream.port or 5432} user={upstream.username}"
    replacements = {
        "authapp = host=postgres port=5432 dbname=authapp": f"* = {where}",
        "listen_addr = 0.0.0.0": f"listen_addr = 127.0.0.1\nlogfile = {folder}/log\npidfile = {folder}/pid",
        "listen_port = 6432": f"listen_port = {port}",
        "auth_type = scram-sha-256": "auth_type = any",
        "auth_file = /run/pgbouncer/userlist.txt": "",
        "default_pool_size = 16": "default_pool_size = 3",
    }
    return rendered("pgbouncer/pgbouncer.ini", replacements)


@contextmanager
def pooling(folder: Path, url: str) -> Iterator[str]:
    """Lend the address of the database at ``url`` by way of a PgBouncer with three connections to it."""
    upstream, port = make_url(url), free_port()
    folder.mkdir()
    (folder / "pgbouncer.ini").write_text(configured(url, port, folder))
    command = [installed("pgbouncer"), str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
        reach = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--clear-groups"]
        command = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", *reach, "--", *command]
    with running(command, port, folder / "output", stop=signal.SIGINT):
        through = upstream.set(host="127.0.0.1", port=port, query={"sslmode": "disable"})
        yield through.render_as_string(hide_password=False)


def test_everything_works_behind_a_pooler_of_transactions(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url, pooling(tmp_path / "pgbouncer", url) as pooled:
        tokens = Tokens(url, spare=200)
        with serving(tmp_path, environment(pooled)) as server:
            with clients(server.port, tokens.plans()) as load:
                wait(2)
            judge(load)
            assert Counter(answer.status for answer in load.answers).keys() == {200, 204, 401}
            a_life(server, "ada")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: a_life(server, f"pooled{number}"), range(16)))
            assert '"ERROR"' not in server.log


def a_life(server: Server, name: str) -> None:
    """Register, log in, refresh, log out."""

    def call(path: str, token: str | None = None, **options: object) -> "dict[str, str]":
        response = server.call("POST", f"/api/v1/auth/{path}", token, **options)
        assert response.ok, response.text
        return response.json() if response.content else {}

    account = {"username": name, "password": PASSWORD}
    call("register", json=account | {"email": f"{name}@example.com"})
    pair = call("login", json=account)
    renewed = call("refresh", pair["refresh_token"])
    assert server.call("GET", PING, renewed["access_token"]).status_code == 200
    assert server.call("POST", LOGOUT, renewed["access_token"]).status_code == 204
    for token in (pair["access_token"], renewed["access_token"]):
        assert server.call("GET", PING, token).status_code == 401
