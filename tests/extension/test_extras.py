"""Without the extras: gunicorn, gevent, the docs page, the limiter, the log's formatter, OpenTelemetry."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from databases import Databases
from e2e.processes import ROOT, environment

BLOCKED = """\
import sys

for name in ("gunicorn", "gevent", "flask_swagger_ui", "flask_limiter", "pythonjsonlogger", "redis", "opentelemetry"):
    sys.modules[name] = None
"""
SERVE = """\
from authapp import create_app, testing

app = create_app()
user = testing.create_user(app, "ada")
client = testing.client(app, user)
print(client.get("/api/v1/users/me").json["username"])
print(client.get("/openapi.json").status_code)
print(client.get("/health/ready").json["status"])
print(client.get("/docs").json["code"])
print(client.get("/api/v1/audit-events").json["code"])
"""
EXTRAS = ["gunicorn", "gevent", "flask_swagger_ui", "flask_limiter", "pythonjsonlogger", "opentelemetry"]


@pytest.fixture
def variables(databases: Databases) -> Iterator[dict[str, str]]:
    with databases.migrated() as url:
        yield environment(url, PYTHONPATH=str(ROOT / "src"))


def run(script: str, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + script], env=variables, capture_output=True, text=True, timeout=60
    )


def test_everything_but_the_docs_page_is_served(variables: dict[str, str]) -> None:
    result = run(SERVE, variables)

    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["ada", "200", "ready", "not_found", "permission_denied"]


def test_every_public_name_can_be_imported(variables: dict[str, str]) -> None:
    result = run("import authapp\nfor name in authapp.__all__:\n    getattr(authapp, name)\n", variables)

    assert result.returncode == 0, result.stderr


def test_a_storage_for_the_limiter_asks_for_the_extra(variables: dict[str, str]) -> None:
    result = run(
        "import wsgi\n", variables | {"AUTHAPP_RATE_LIMIT_STORAGE": "memory://", "PYTHONPATH": f"{ROOT}:{ROOT}/src"}
    )

    assert result.returncode == 1
    assert "pip install 'authapp[limiter]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_authapp_imports_no_extra(variables: dict[str, str]) -> None:
    script = f"import sys, authapp, authapp.factory, authapp.testing\nprint([n for n in {EXTRAS} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, timeout=60)

    assert result.stdout.strip() == "[]", result.stderr
