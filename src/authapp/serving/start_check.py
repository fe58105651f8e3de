"""The check before a start or a reload: can the application be loaded with the settings as they are now?

On HUP, gunicorn stops the old workers before the new ones have started, and tries for ever when those cannot start: a
mistake in a key file would end the service. With this check the old workers stay.

Names of gunicorn that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):

- ``Arbiter.reload()``, replaced on the running instance: the hook ``on_reload`` runs too late to refuse
- ``Arbiter.app.app_uri``, what gunicorn has to serve
- ``gunicorn.util.import_app(uri)``, called in the subprocess, as a worker will
"""

import os
import subprocess
import sys
from typing import Any

DEFAULT_APP = "wsgi:app"

MASTER_IMPORTS = (
    "authapp",
    "authapp.database",
    "authapp.database.semaphore",
    "authapp.domain",
    "authapp.domain.ip_addresses",
    "authapp.logs",
    "authapp.logs.formatter",
    "authapp.logs.handler",
    "authapp.logs.json_lines",
    "authapp.logs.output",
    "authapp.shared_names",
)
"""What the master imports of authapp besides ``authapp.serving``."""

TIMEOUT = 60.0
"""Seconds that the application may take to load. The master waits, and meanwhile replaces no worker that dies."""

_PROGRAM = """
import os, sys
from gunicorn.util import import_app
try:
    import_app(sys.argv[1])
except Exception as error:
    # By name: the application may be of a release that has another module for it.
    if type(error).__name__ != "SettingsError":
        raise
    sys.exit(str(error))
print("\\nloaded", flush=True)
# Whatever the application does at exit, such as print, is not for here.
os._exit(0)
"""


def on_starting(server: Any) -> None:
    """Exit with status 1 unless the application loads, and check again before each reload (gunicorn's hook).

    The application names all its bad settings at once on stderr, instead of each worker with a traceback.
    """
    if not can_load(server):
        sys.exit(1)
    reload = server.reload

    def reload_if_loadable() -> None:
        if can_load(server):
            forget_package()
            reload()
        else:
            server.log.error("Nothing is reloaded: with these settings no worker could start. The old ones serve on.")

    server.reload = reload_if_loadable


def can_load(server: Any) -> bool:
    """Return whether gunicorn's application can be imported, in a subprocess: the master must not import it.

    The exit status is not used: gunicorn's SIGCHLD handler may reap the process first, and ``subprocess`` then reports
    success.
    """
    uri = getattr(server.app, "app_uri", None) or DEFAULT_APP
    # gunicorn has put ``chdir`` and ``pythonpath`` there.
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _PROGRAM, uri]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command, check=False, env=environ, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        server.log.error("The application did not load within %g seconds.", TIMEOUT)  # noqa: TRY400 - no traceback
        return False
    loaded = done.stdout.endswith("\nloaded\n")
    if not loaded:
        server.log.error("The application could not be loaded: %s.", uri)
    return loaded


def forget_package() -> None:
    """Drop what the master imports of authapp from ``sys.modules``, so that the next import reads the installed files.

    The master has to import ``authapp`` to reach ``authapp.serving``. After an upgrade in place, an application that
    imports a new name from the old ``authapp`` could not be loaded by any worker.
    """
    for name in [name for name in sys.modules if name in MASTER_IMPORTS or f"{name}.".startswith("authapp.serving.")]:
        del sys.modules[name]
