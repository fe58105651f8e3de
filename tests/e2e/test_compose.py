"""What deploy/docker/ does to PostgreSQL, done to one: two roles, and the one that serves may only that."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml
from sqlalchemy.engine import make_url
from tools.embedded_postgres import BINARIES

from authapp.database.session_settings import PINNED, limits
from databases import Databases
from e2e.processes import ROOT, environment, flask, serving
from e2e.test_grants import documented
from e2e.test_pgbouncer import a_life

FOLDER = ROOT / "deploy" / "docker"
NAME = "authapp_composed"


def shipped(name: str, folder: Path) -> Path:
    """Return a copy of a shipped file, with the test's names for roles, database and secrets."""
    text = (FOLDER / name).read_text().replace("/run/secrets/", f"{folder}/")
    copy = folder / name
    copy.write_text(re.sub(r"\b(TO|ROLE|OWNER|DATABASE) authapp", rf"\1 {NAME}", text))
    return copy


def test_git_ignores_every_secret_that_the_containers_read() -> None:
    secrets = re.findall(r"file: \./(\S+)", (FOLDER / "compose.yaml").read_text())
    assert len(secrets) == 9
    done = subprocess.run(["git", "check-ignore", *secrets], cwd=FOLDER, capture_output=True, text=True)
    assert done.stdout.split() == secrets


def plain(url: str) -> str:
    return url.replace("+psycopg2", "")


def run(url: str, script: Path) -> None:
    psql = [BINARIES / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", plain(url), "-f", script]
    done = subprocess.run(psql, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def ask(url: str, statement: str) -> str:
    connection = psycopg2.connect(plain(url))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        answer = str(cursor.fetchone()[0]) if cursor.description else ""
    connection.close()
    return answer


@pytest.fixture
def superuser(databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The address of a database for the superuser of a server on which the image has run roles.sql."""
    for secret in ("owner_password", "authapp_password", "audit_password"):
        (tmp_path / secret).write_text("it's-secret\n")
    with databases.empty() as url:
        try:
            run(url, shipped("roles.sql", tmp_path))
            yield url
        finally:
            connection = psycopg2.connect(plain(url))
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
                cursor.execute(f"DROP ROLE IF EXISTS {NAME}, {NAME}_owner, {NAME}_audit")
            connection.close()


def test_one_role_migrates_and_the_other_serves(superuser: str, tmp_path: Path) -> None:
    def address(role: str) -> str:
        where = make_url(superuser).set(database=NAME, username=role, password="it's-secret")
        return where.render_as_string(hide_password=False)

    owner, serves = address(f"{NAME}_owner"), address(NAME)
    migrated = flask(environment(owner), "db", "upgrade")
    assert migrated.returncode == 0, migrated.stderr
    run(owner, shipped("grants.sql", tmp_path))

    with serving(tmp_path, environment(serves)) as server:
        a_life(server, "ada")
        assert '"ERROR"' not in server.log
    for statement in ("DELETE FROM audit_events", "ALTER TABLE users ADD x int", "CREATE TABLE mine (x int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(serves, statement)
    audits = address(f"{NAME}_audit")
    pruned = flask(environment(audits), "audit", "prune", "--older-than", "1d")
    assert (pruned.returncode, pruned.stderr) == (0, "")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(audits, "DELETE FROM users")
    limit = ask(superuser, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{NAME}'")
    assert 0 < int(limit) < int(ask(superuser, "SHOW max_connections"))
    # What authapp would have asked for, and a pooler has not passed on; PostgreSQL writes its own units.
    for name, value in (limits(2.5) | PINNED).items():
        given = f"SELECT set_config('{name}', '{value}', true) = '{ask(serves, f'SHOW {name}')}'"
        assert ask(superuser, given) == "True", name


def test_the_grants_are_those_of_the_page() -> None:
    granted = (FOLDER / "grants.sql").read_text()
    assert granted[granted.index("GRANT") :] == f"{documented('authapp')}\n{documented('authapp_audit')}"


def make_secrets(folder: Path, umask: int = 0o022) -> None:
    """Run the shipped script as somebody with this umask."""
    subprocess.run(
        ["sh", FOLDER / "secrets.sh", folder],
        check=True,
        cwd=ROOT,
        env=os.environ | {"FLASK": f"{sys.executable} -m flask"},
        umask=umask,
        timeout=60,
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_secrets_are_for_their_owner_and_the_containers_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder, umask)

    assert folder.stat().st_mode & 0o777 == 0o700, "nobody else on this machine gets past the folder"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}, "every account of a container reads"
    assert len({file.read_text() for file in folder.iterdir()}) == len(list(folder.iterdir())) == 9
    for name in ("jwt-keys.json", "encryption-keys.json"):
        assert json.loads((folder / name).read_text())["keys"]


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = {file: file.read_text() for file in tmp_path.iterdir()}
    (tmp_path / "audit-password").unlink()
    make_secrets(tmp_path)

    changed = [file.name for file in tmp_path.iterdir() if before[file] != file.read_text()]
    assert changed == ["audit-password"]


def composed() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return described


def variables_of(service: dict[str, Any], secrets: Path) -> dict[str, str]:
    """Return what `docker compose exec` sees: the variables, with each secret where it is on this machine."""
    files = {name: Path(secret["file"]).name for name, secret in composed()["secrets"].items()}
    mounted = [
        {"source": secret, "target": secret} if isinstance(secret, str) else secret for secret in service["secrets"]
    ]
    paths = {f"/run/secrets/{secret['target']}": str(secrets / files[secret["source"]]) for secret in mounted}
    return {name: paths.get(value, value) for name, value in service["environment"].items()}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("node1", "authapp"),
        ("node2", "authapp"),
        ("migrate", "authapp_owner"),
        ("mail", "authapp"),
        ("prune", "authapp"),
        ("prune-audit", "authapp_audit"),
    ],
)
def test_a_command_in_a_container_finds_the_settings_in_its_environment(name: str, role: str, secrets: Path) -> None:
    program = "from authapp.extension import load_settings as load; print(load().database_url, load().encryption_keys)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=secrets,
        env=variables_of(composed()["services"][name], secrets),
        capture_output=True,
        text=True,
    )

    assert found.returncode == 0, found.stderr
    address, keys = found.stdout.split(maxsplit=1)
    assert keys.strip() == (secrets / "encryption-keys.json").read_text().strip()
    url = make_url(address)
    password = (secrets / f"{role.removeprefix('authapp_')}-password").read_text().strip()
    assert (url.username, url.password, url.database) == (role, password, "authapp")


def test_every_service_of_ours_is_in_the_test_above_and_something_prunes() -> None:
    services = {name: service for name, service in composed()["services"].items() if service.get("image") == "authapp"}
    assert set(services) == {"node1", "node2", "migrate", "mail", "prune", "prune-audit"}
    assert "flask tokens prune" in services["prune"]["command"][-1]
    assert "flask audit prune --older-than" in services["prune-audit"]["command"][-1]


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_a_node_may_write_where_its_workers_count_and_where_their_heartbeats_are(name: str) -> None:
    service = composed()["services"][name]
    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["command"][service["command"].index("--worker-tmp-dir") + 1] == "/dev/shm", "the runtime's own tmpfs"


def test_a_service_sends_what_the_nodes_do_not_and_another_catches_it() -> None:
    services = composed()["services"]
    variables = services["node1"]["environment"]
    assert variables["AUTHAPP_MAIL_SENDER"] == "off"
    assert services["mail"]["command"] == ["flask", "mail", "deliver", "--watch"]
    assert variables["AUTHAPP_MAIL_URL"].startswith("smtp://mailpit:1025")
    image, _, tag = services["mailpit"]["image"].partition(":")
    assert (image, tag[:2]) == ("axllent/mailpit", "v1")
    assert all(port.startswith("127.0.0.1:") for port in services["mailpit"]["ports"]), "it shows every link"


def test_the_settings_of_the_role_are_those_of_the_page() -> None:
    def settings(text: str) -> list[str]:
        return re.findall(r"ALTER ROLE authapp SET \w+ = '\w+';", text)

    shipped_ones = settings((FOLDER / "roles.sql").read_text())
    assert len(shipped_ones) == 4
    assert settings((ROOT / "docs" / "operations.md").read_text()) == shipped_ones
