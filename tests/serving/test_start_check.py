"""What could not be served is neither started nor reloaded."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authapp.serving import start_check
from serving.running import APPLICATION, gunicorn


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where gunicorn has been started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "notes"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "app.py").write_text(APPLICATION)
    (package / "broken.py").write_text("import sys\nsys.exit('this cannot start')\n")
    return tmp_path


def server(log: Any = None, **app: str) -> Any:
    return SimpleNamespace(app=SimpleNamespace(**app), log=log or SimpleNamespace(error=lambda *_: None))


@pytest.mark.parametrize("uri", ["notes.app:app", "notes.app:create()"])
@pytest.mark.usefixtures("folder")
def test_what_gunicorn_serves_is_loaded_whatever_its_name(uri: str) -> None:
    assert start_check.can_load(server(app_uri=uri))
    assert "notes.app" not in sys.modules


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("notes.broken:app", "this cannot start"),
        ("notes.app:nothing", "Failed to find attribute 'nothing'"),
        ("notes.nothing:app", "No module named 'notes.nothing'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_loaded_says_why(uri: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert not start_check.can_load(server(app_uri=uri))
    assert reason in capfd.readouterr().err


def test_an_application_that_prints_at_exit_is_loaded(folder: Path) -> None:
    (folder / "notes" / "printing.py").write_text(
        "import atexit\natexit.register(print, 'goodbye')\nprint('hello', end='')\n" + APPLICATION
    )
    assert start_check.can_load(server(app_uri="notes.printing:app"))


@pytest.mark.usefixtures("folder")
def test_the_log_says_that_an_application_could_not_be_loaded() -> None:
    seen: list[str] = []
    log = SimpleNamespace(error=lambda text, uri: seen.append(text % uri))
    assert not start_check.can_load(server(log=log, app_uri="notes.broken:app"))
    assert seen == ["The application could not be loaded: notes.broken:app."]


def test_an_application_that_waits_while_it_loads_holds_the_master_for_a_while_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    log = SimpleNamespace(error=lambda text, seconds: seen.append(text % seconds))
    monkeypatch.setattr(start_check, "TIMEOUT", 0.5)
    (folder / "notes" / "waiting.py").write_text("import time\ntime.sleep(20)\n" + APPLICATION)
    start = time.monotonic()
    assert not start_check.can_load(server(log=log, app_uri="notes.waiting:app"))
    assert time.monotonic() - start < 10
    assert seen == ["The application did not load within 0.5 seconds."]


@pytest.mark.parametrize("app", [{}, {"app_uri": ""}])
def test_without_a_name_it_is_the_app_of_wsgi(app: dict[str, str], folder: Path) -> None:
    assert not start_check.can_load(server(**app))
    (folder / "wsgi.py").write_text(APPLICATION)
    assert start_check.can_load(server(**app))


def test_a_server_that_cannot_be_loaded_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_check, "can_load", lambda _: False)
    with pytest.raises(SystemExit) as ended:
        start_check.on_starting(server())
    assert ended.value.code == 1


@pytest.mark.parametrize(("loadable", "calls"), [(True, ["forgotten", "reloaded"]), (False, ["Nothing is reloaded"])])
def test_a_reload_is_checked_first(loadable: bool, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    answers = iter([True, loadable])
    monkeypatch.setattr(start_check, "can_load", lambda _: next(answers))
    monkeypatch.setattr(start_check, "forget_package", lambda: seen.append("forgotten"))
    log = SimpleNamespace(error=lambda text: seen.append(text.partition(":")[0]))
    reload: Callable[[], None] = lambda: seen.append("reloaded")  # noqa: E731
    running = SimpleNamespace(reload=reload, log=log)

    start_check.on_starting(running)
    assert seen == []
    running.reload()

    assert seen == calls


def test_the_package_is_forgotten_but_not_what_else_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "authapp",
        "authapp.serving",
        "authapp.serving.worker",
        "authapp.servings",
        "authapp.domain",
        "authapp.domain.ip_addresses",
        "authapp.domain.audit",
        "authapp.api",
        "authapp2",
        "os",
    ]
    modules = dict.fromkeys(names)
    monkeypatch.setattr(start_check, "sys", SimpleNamespace(modules=modules))
    start_check.forget_package()
    assert list(modules) == ["authapp.servings", "authapp.domain.audit", "authapp.api", "authapp2", "os"]


def test_a_gunicorn_that_serves_the_app_of_another_project_starts_and_reloads(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "hello:create()") as running:
        application = tmp_path / "hello.py"
        application.write_text("raise ValueError('not now')")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("Nothing is reloaded")
        with running.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")

        application.write_text(APPLICATION.replace("hello", "new"))
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("Worker ready", times=2)


def test_a_reload_imports_the_package_that_is_installed_then(tmp_path: Path) -> None:
    """An upgrade in place: what the master has imported of the old release must not meet the new one's application."""
    old = Path(start_check.__file__).parent.parent
    copy = tmp_path / "site" / "authapp"
    copy.mkdir(parents=True)
    for name in ("serving", "domain", "database", "logs", "shared_names.py"):
        (copy / name).symlink_to(old / name)
    (copy / "__init__.py").write_text("")
    (tmp_path / "hello.py").write_text(APPLICATION)
    with gunicorn(tmp_path, "hello:app", path=copy.parent) as running:
        (copy / "__init__.py").write_text("release = 'new one'")
        (tmp_path / "hello.py").write_text("import authapp\nprint(authapp.release, flush=True)\n" + APPLICATION)
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("Worker ready", times=2)
        assert running.log.count("new one") >= 1
