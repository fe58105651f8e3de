"""The time of a refused login tells nothing (ASVS 5.0, 6.3.8): on the real server, with the real cost of a hash."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
import requests

from databases import Databases
from e2e.processes import Server, environment, flask, serving
from e2e.timing import told_apart
from factories import PASSWORD
from security.foreign import HASHES

# Times are compared with each other, and what runs beside them is noise.
pytestmark = pytest.mark.alone

FORGIVEN_AFTER = 50
"""More failures in a row than the limits of an account let through are needed here."""

FLOOR_MS = 120
"""Above what a hash of ours costs. Each of the requests takes that long."""


def forgive(variables: dict[str, str]) -> None:
    """Forget every failure, those of names that nobody has too."""
    address = variables["AUTHAPP_DATABASE_URL"].replace("+psycopg2", "")
    with psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM login_throttles")
    connection.close()


@pytest.fixture(scope="module")
def accounts(server: Server, variables: dict[str, str]) -> None:
    for name in ("present", "disabled"):
        account = [name, f"{name}@example.com", "--password-stdin"]
        assert flask(variables, "users", "create", *account, stdin=PASSWORD).returncode == 0
    assert flask(variables, "users", "disable", "disabled").returncode == 0


@pytest.mark.usefixtures("accounts")
def test_a_refused_login_takes_as_long_whatever_the_reason(server: Server, variables: dict[str, str]) -> None:
    # Without the decoy hash every sample is near 0.
    with requests.Session() as session:
        refused, before_round = refusals(session, server), forgiving(variables)
        assert told_apart(refused, "present", ["absent", "disabled"], before_round) == {}


def test_a_refused_login_takes_as_long_whether_or_not_the_account_was_imported(
    databases: Databases, tmp_path: Path
) -> None:
    # Without the floor every sample is near 0, because this hash is a fast one.
    account = {"username": "imported", "email": "a@example.com", "password_hash": HASHES["passlib ldap_salted_sha1"]}
    file = tmp_path / "users.jsonl"
    file.write_text(json.dumps(account))
    with databases.migrated() as url:
        variables = environment(url, AUTHAPP_LOGIN_FLOOR_MS=str(FLOOR_MS))
        present = ["present", "present@example.com", "--password-stdin"]
        assert flask(variables, "users", "create", *present, stdin=PASSWORD).returncode == 0
        assert flask(variables, "users", "import", str(file)).returncode == 0
        with serving(tmp_path, variables) as server, requests.Session() as session:
            refused, before_round = refusals(session, server), forgiving(variables)
            assert told_apart(refused, "present", ["imported"], before_round, samples=150) == {}


def refusals(session: requests.Session, server: Server) -> Callable[[str], None]:
    def refused(name: str) -> None:
        body = {"username": name, "password": "not the password"}
        assert session.post(f"{server.url}/api/v1/auth/login", json=body, timeout=30).status_code == 401

    return refused


def forgiving(variables: dict[str, str]) -> Callable[[int], None]:
    def before_round(number: int) -> None:
        if number % FORGIVEN_AFTER == 0:
            forgive(variables)

    return before_round
