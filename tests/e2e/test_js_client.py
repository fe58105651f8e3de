"""The client of ``clients/js``, as it would be published: its package, its types, and what it does in tabs and Node."""

import gzip
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from tools.openapi_document import document

from databases import Databases
from e2e.chromium import Outcomes, drive, names_in, scripts_of
from e2e.node import PACKAGES, node
from e2e.processes import ROOT, environment, free_port, serving
from serving.certificates import write_certificate

SCRIPTS = Path(__file__).parent / "js_client"
CLIENT = ROOT / "clients" / "js"
SUITES = ["tabs", "example"]
ARGS = ["--host-resolver-rules=MAP * 127.0.0.1", "--ignore-certificate-errors"]
CONSOLE = "src/authapp/api/static/console/client"
Setup = tuple[Path, dict[str, object]]
OF_PROJECT = ("openapi-fetch", "openapi-typescript-helpers")
MODULES = {f"dist/{name}.{ext}" for name in ("errors", "index", "schema", "storage") for ext in ("d.ts", "js")}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package that ``npm pack`` makes of the sources alone."""
    folder: Path = tmp_path_factory.mktemp("js_client")
    # It skips or fails where Node.js or the packages are missing, and gives the packages to the folder.
    assert node(folder, "--version").returncode == 0
    sources = shutil.copytree(CLIENT, folder / "js", ignore=shutil.ignore_patterns("dist", "node_modules", "*.tgz"))
    packed = subprocess.run(
        ["npm", "pack", "--offline", "--no-update-notifier"], cwd=sources, capture_output=True, text=True, timeout=120
    )
    assert packed.returncode == 0, f"{packed.stdout}\n{packed.stderr}"
    with tarfile.open(next(sources.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def test_the_package_has_what_is_needed_and_nothing_else(package: Path) -> None:
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == MODULES | {"package.json", "README.md", "LICENSE"}
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    described = json.loads((package / "package.json").read_text())
    assert not described.keys() & {"dependencies", "peerDependencies", "private"}
    assert {path for entry in described["exports"].values() for path in entry.values()} <= {
        f"./{name}" for name in MODULES
    }


def test_it_is_under_5_kb(package: Path) -> None:
    scripts = b"".join(path.read_bytes() for path in sorted(package.glob("dist/*.js")))
    assert len(gzip.compress(scripts)) < 5000


def test_the_console_has_the_same_client(package: Path) -> None:
    copied = {path.name: path.read_text() for path in (ROOT / CONSOLE).iterdir()}
    built = {name: (package / "dist" / name).read_text() for name in copied}
    assert copied.keys() == {"errors.js", "index.js", "storage.js"}
    assert copied == built, "The client has changed: run `make client`."


def test_its_types_are_those_of_the_openapi_document(tmp_path: Path) -> None:
    published = tmp_path / "openapi.json"
    published.write_text(json.dumps(document()))
    shutil.copy(CLIENT / "generate.mjs", tmp_path)
    generated = node(tmp_path, "generate.mjs", str(published))
    assert generated.returncode == 0, generated.stderr
    assert generated.stdout == (CLIENT / "src" / "schema.ts").read_text(), "The API has changed: run `make client`."


def test_its_types_have_every_route(shared_app: Flask) -> None:
    published = shared_app.test_client().get("/openapi.json").get_json()["paths"]
    assert document()["paths"].keys() == published.keys()


def test_a_project_that_uses_it_compiles(package: Path, tmp_path: Path) -> None:
    shutil.copy(SCRIPTS / "consumer.ts", tmp_path)
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for name, folder in (("authapp-client", package), *((name, PACKAGES / name) for name in OF_PROJECT)):
        (modules / name).symlink_to(folder)
    options = ["--noEmit", "--skipLibCheck", "--strict", "--module", "NodeNext", "--target", "ES2022"]
    compiled = node(tmp_path, str(PACKAGES / "typescript" / "bin" / "tsc"), *options, "consumer.ts")
    assert compiled.returncode == 0, compiled.stdout


@pytest.fixture(scope="module")
def setup(databases: Databases, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A folder with the scripts, and their settings, while a server runs."""
    folder: Path = tmp_path_factory.mktemp("site")
    certificate, key = write_certificate(folder)
    shutil.copytree(package, folder / "clients" / "js")
    shutil.copytree(ROOT / "examples" / "spa", folder / "examples" / "spa")
    port = free_port()
    changes = {
        "AUTHAPP_ISSUER": f"https://auth.example.com:{port}",
        "AUTHAPP_CORS_ORIGINS": f"https://app.example.com:{port}",
        "AUTHAPP_REFRESH_COOKIE": "on",
        "AUTHAPP_ACCESS_TOKEN_TTL": "10",
        "AUTHAPP_LEEWAY": "0",
        # Only there may hashing be cheap.
        "AUTHAPP_ENV": "development",
        "AUTHAPP_ARGON2_MEMORY_KIB": "8",
        "AUTHAPP_ARGON2_TIME_COST": "1",
    }
    with databases.migrated() as url, serving(folder, environment(url, **changes)) as server:
        files = {"site": str(folder), "cert": str(certificate), "key": str(key)}
        yield scripts_of(folder, SCRIPTS), {"upstream": server.url, "port": port, **files}


@pytest.fixture(scope="module")
def in_browser(setup: Setup, chromium: str) -> Outcomes:
    scripts, settings = setup
    screenshots = os.environ.get("SCREENSHOTS") or str(scripts / "screenshots")
    return drive(scripts, chromium=chromium, suites=SUITES, args=ARGS, screenshots=screenshots, **settings)


@pytest.fixture(scope="module")
def in_node(setup: Setup) -> Outcomes:
    scripts, settings = setup
    ran = node(scripts, "nodejs.mjs", json.dumps(settings))
    assert ran.returncode == 0, ran.stderr
    outcomes: Outcomes = json.loads(ran.stdout)
    return outcomes


@pytest.mark.parametrize("name", [name for suite in SUITES for name in names_in(SCRIPTS / f"{suite}.mjs")])
def test_in_a_browser(in_browser: Outcomes, name: str) -> None:
    assert in_browser[name] is None, in_browser[name]


@pytest.mark.parametrize("name", names_in(SCRIPTS / "nodejs.mjs"))
def test_in_node(in_node: Outcomes, name: str) -> None:
    assert in_node[name] is None, in_node[name]
