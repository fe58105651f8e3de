"""A real server for a module's tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Databases
from e2e.processes import PROVIDERS, Server, environment, serving, with_mail

collect_ignore = ["notes_project"]
"""A project of its own, whose tests ``test_package.py`` runs."""


@pytest.fixture(scope="module")
def variables(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a production server with mail and a provider, and a migrated database of its own."""
    folder: Path = tmp_path_factory.mktemp("mail")
    with databases.migrated() as url:
        yield with_mail(environment(url, **PROVIDERS), folder)


@pytest.fixture(scope="module")
def server(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    with serving(folder, variables) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> str:
    # The shell has the same engine, and takes half the time.
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if found is not None:
        return found
    reason = "Chromium is not installed: apt install chromium-headless-shell"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
