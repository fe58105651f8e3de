"""The settings: the same from a checkout and from the package, and nothing of the application in the master."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS

from authapp.serving import settings
from authapp.serving.start_check import MASTER_IMPORTS
from e2e.processes import ROOT
from serving.running import environment

FROM_A_CHECKOUT: tuple[str, ...] = ()
FROM_THE_PACKAGE = ("--config", "python:authapp.serving.settings")
NAMES = {setting.name for setting in KNOWN_SETTINGS}

MASTER = """
import json, sys
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter

arbiter = Arbiter(WSGIApplication("gunicorn"))
print(json.dumps({"modules": sorted(sys.modules), "worker": str(arbiter.worker_class), "workers": arbiter.num_workers}))
"""


@pytest.mark.parametrize(
    ("arguments", "folder"), [(FROM_A_CHECKOUT, ROOT), (FROM_THE_PACKAGE, None)], ids=["checkout", "package"]
)
def test_the_master_loads_the_settings_and_nothing_of_the_application(
    arguments: tuple[str, ...], folder: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    done = subprocess.run(
        [sys.executable, "-c", MASTER, *arguments, "wsgi:app"],
        cwd=folder or tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    master: dict[str, Any] = json.loads(done.stdout)
    assert master["worker"] == "<class 'authapp.serving.worker.Worker'>"
    assert master["workers"] == 3
    assert not {"flask", "sqlalchemy", "psycopg2", "wsgi", "authapp.factory"} & set(master["modules"])
    loaded = {name for name in master["modules"] if name.startswith("authapp.")}
    assert {name for name in loaded if not name.startswith("authapp.serving")} < set(MASTER_IMPORTS)


def test_the_file_of_the_checkout_sets_what_the_package_sets() -> None:
    file = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    expected = {name: value for name, value in vars(settings).items() if name in NAMES}
    assert len(expected) > 15
    assert {name: value for name, value in file.items() if name in NAMES} == expected


@pytest.mark.parametrize(("text", "workers"), [("3", 3), (" 4 ", 4), ("", 2), ("0", 2), ("-1", 2), ("many", 2)])
def test_the_number_of_workers_is_that_of_the_environment_unless_it_is_none(
    text: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", text)
    assert runpy.run_path(settings.__file__)["workers"] == workers


@pytest.mark.parametrize(
    ("port", "address"),
    [("8123", "0.0.0.0:8123"), ("", "127.0.0.1:8000"), ("0", "127.0.0.1:8000"), ("http", "127.0.0.1:8000")],
)
def test_the_address_has_the_port_of_the_environment_unless_it_is_none(
    port: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", port)
    assert runpy.run_path(settings.__file__)["bind"] == address


@pytest.mark.parametrize(("level", "used"), [("DEBUG", "debug"), (" ERROR ", "error"), ("", "info"), ("LOUD", "info")])
def test_the_log_level_is_that_of_the_environment_unless_it_does_not_exist(
    level: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHAPP_LOG_LEVEL", level)
    loaded = runpy.run_path(settings.__file__)
    assert loaded["loglevel"] == used
    assert loaded["logconfig_dict"]["root"]["level"] == used.upper()
