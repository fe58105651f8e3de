"""The role that serves needs what docs/operations.md says, and nothing more; and so does the one that prunes."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy.engine import make_url

from databases import Databases
from e2e.processes import ROOT, environment, flask, serving
from e2e.test_pgbouncer import a_life
from factories import PASSWORD
from security.foreign import HASHES


def documented(role: str) -> str:
    text = (ROOT / "docs" / "operations.md").read_text()
    match = re.search(rf"<!-- grants: {role} -->\n```sql\n(.*?)```", text, re.DOTALL)
    assert match
    return match[1]


class Roles:
    """Makes roles with what the page grants to them in one database, and forgets them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg2.connect(url.replace("+psycopg2", ""))
        self._connection.autocommit = True
        self._made: list[str] = []

    def url(self, role: str) -> str:
        """Return the address of the database for a new role that stands for the documented ``role``."""
        name = f"{role}_documented"
        with self._connection.cursor() as cursor:
            cursor.execute(f"DROP ROLE IF EXISTS {name}")
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'documented'")
            self._made.append(name)
            cursor.execute(documented(role).replace(f"TO {role};", f"TO {name};"))
        address = make_url(self._url).set(username=name, password="documented")
        return address.render_as_string(hide_password=False)

    def close(self) -> None:
        with self._connection.cursor() as cursor:
            for name in self._made:
                cursor.execute(f"DROP OWNED BY {name}")
                cursor.execute(f"DROP ROLE {name}")
        self._connection.close()


def test_the_documented_grants_are_enough_for_all_that_is_served(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated() as url:
        roles = Roles(url)
        try:
            variables = environment(roles.url("authapp"))
            account = ["ada", "ada@example.com", "--role", "admin", "--password-stdin"]
            assert flask(variables, "users", "create", *account, stdin=PASSWORD).returncode == 0
            with serving(tmp_path, variables) as server:
                a_life(server, "grace")
                body = {"username": "ada", "password": PASSWORD}
                token = server.call("POST", "/api/v1/auth/login", json=body).json()["access_token"]
                assert server.call("POST", "/api/v1/auth/login", json=body | {"password": "wrong"}).status_code == 401
                steps = [
                    ("POST", "/roles", {"name": "desk", "permissions": ["users:read"]}, 201),
                    ("PATCH", "/roles/desk", {"description": "Answers."}, 200),
                    ("POST", "/users", {"username": "bob", "email": "bob@example.com", "password": PASSWORD}, 201),
                    ("GET", "/users?q=bob", None, 200),
                    ("GET", "/audit-events", None, 200),
                    ("DELETE", "/roles/desk", None, 204),
                    ("POST", "/auth/logout?scope=global", None, 204),
                ]
                for method, path, body_, status in steps:
                    assert server.call(method, f"/api/v1{path}", token, json=body_).status_code == status, path
                assert '"ERROR"' not in server.log
            for command in (["tokens", "prune"], ["users", "disable", "grace"], ["users", "delete", "grace", "--yes"]):
                assert flask(variables, *command).returncode == 0, command
            moved = tmp_path / "moved.jsonl"
            moved.write_text(json.dumps({"email": "joan@example.com", "password_hash": HASHES["auth0 bcrypt"]}))
            assert flask(variables, "users", "import", str(moved)).returncode == 0
            assert flask(variables, "users", "export", "--out", str(tmp_path / "all.jsonl")).returncode == 0
            # It would also empty the trail: for that, it takes the role that owns the tables.
            erasure = flask(variables, "users", "erase", "joan", "--yes")
            assert (erasure.returncode, erasure.stderr.count("\n")) == (1, 1)
            assert "This role may not change the audit trail" in erasure.stderr
            assert flask(variables, "users", "show", "joan").returncode == 0
            assert flask(environment(url), "users", "erase", "joan", "--yes").returncode == 0
            files = {
                "/etc/authapp/environment": variables,
                "/etc/authapp/audit-environment": {"AUTHAPP_DATABASE_URL": roles.url("authapp_audit")},
            }
            hourly, daily = (shipped_unit(f"authapp-{name}.service", files) for name in ("prune", "audit-prune"))
            assert flask(*hourly).returncode == 0
            pruning = flask(*daily)
            assert (pruning.returncode, pruning.stderr) == (0, "")
            assert "Removed 0 events." in pruning.stdout
            # The role that serves may not; it is told so in one line.
            refused = flask(variables, *daily[1:])
            assert refused.returncode == 1
            assert refused.stderr.count("\n") == 1
            assert "permission denied for table audit_events" in refused.stderr
        finally:
            roles.close()


def shipped_unit(name: str, files: Mapping[str, dict[str, str]]) -> Any:
    """Return the environment and the arguments with which a unit of deploy/systemd/ runs ``flask``.

    ``files`` holds what its environment files say; of two values the later one counts, as systemd.exec(5) has it.
    """
    unit = (ROOT / "deploy" / "systemd" / name).read_text()
    variables: dict[str, str] = {}
    for path in re.findall(r"^EnvironmentFile=(.+)$", unit, re.MULTILINE):
        variables |= files[path]
    (command,) = re.findall(r"^ExecStart=\S+/flask (.+)$", unit, re.MULTILINE)
    return variables, *command.split()
