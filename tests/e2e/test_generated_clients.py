"""Clients that others generate from the OpenAPI document: they compile, and they work against the live server."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.node import node
from e2e.processes import Server

SOURCES = Path(__file__).parent / "generated_clients"
TYPESCRIPT = ("openapi_typescript", "hey_api", "orval")


@pytest.fixture(scope="module")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The OpenAPI document in a file, in a folder of its own with the sources of the clients."""
    folder: Path = tmp_path_factory.mktemp("clients")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    path = folder / "openapi.json"
    path.write_bytes(server.call("GET", "/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def compiled(server: Server, document: Path) -> Path:
    """The folder of the compiled TypeScript clients."""
    folder = document.parent
    succeed(node(folder, "generate.mjs", str(document), "generated", server.url))
    succeed(node(folder, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json"))
    return folder / "compiled"


@pytest.mark.parametrize("client", TYPESCRIPT)
def test_a_typescript_client_registers_logs_in_refreshes_and_logs_out(
    server: Server, compiled: Path, client: str
) -> None:
    succeed(node(compiled.parent, str(compiled / f"{client}.js"), server.url, client))


def test_openapi_python_client_registers_logs_in_refreshes_and_logs_out(server: Server, document: Path) -> None:
    generated = document.parent / "generated_python"
    tool = Path(sys.executable).with_name("openapi-python-client")
    options = ["--path", str(document), "--output-path", str(generated), "--meta", "none", "--fail-on-warning"]
    # It calls the ruff that is on the path.
    variables = os.environ | {"PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"}
    succeed(run([str(tool), "generate", *options], document.parent, variables))
    succeed(run([sys.executable, "-W", "error", "-m", "compileall", "-q", str(generated)], document.parent))
    script = str(document.parent / "openapi_python_client.py")
    succeed(run([sys.executable, script, server.url, "openapi_python"], document.parent))


def test_spectral_redocly_and_ecmascript_find_nothing_in_the_document(document: Path) -> None:
    succeed(node(document.parent, "lint.mjs", str(document)))


def test_the_linters_find_what_is_wrong(document: Path) -> None:
    broken = document.with_name("broken.json")
    broken.write_text(document.read_text().replace(r"{0,63}$", r"\\Z").replace('"operationId":"logIn",', ""))

    linted = node(document.parent, "lint.mjs", str(broken))

    assert linted.returncode == 1
    for finding in ("ECMAScript: Invalid regular expression", "Spectral: operation-operationId ", "Redocly: operation"):
        assert finding in linted.stdout


def run(
    command: list[str], folder: Path, variables: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)


def succeed(ran: "subprocess.CompletedProcess[str]") -> None:
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
