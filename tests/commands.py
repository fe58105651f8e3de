"""``python -m flask`` and the like, in processes that are forked from one which has imported authapp.

The tests run hundreds of commands, and nearly all that one costs is its imports. A forked process has its own
environment, folder, streams and exit status, and shares nothing with the tests or with another command.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = str(Path(__file__).parent)

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["authapp.factory", "authapp.extension", "flask.cli", "alembic.command"])


def run_module(
    name: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    stdin: str | None = None,
    timeout: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """Run a Python module of this checkout's environment, as ``python -m`` does in ``folder``."""
    with TemporaryDirectory() as streams:
        (Path(streams) / "0").write_text(stdin or "")
        target = (name, list(arguments), dict(variables), str(folder), streams)
        process = _forkserver.Process(target=_run, args=target)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([name, *arguments], timeout)
        output, errors = ((Path(streams) / number).read_text() for number in ("1", "2"))
    return subprocess.CompletedProcess([name, *arguments], process.exitcode, output, errors)


def _run(name: str, arguments: list[str], variables: dict[str, str], folder: str, streams: str) -> None:
    for number, mode in enumerate("rww"):
        with (Path(streams) / str(number)).open(mode) as stream:
            os.dup2(stream.fileno(), number)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(folder)
    others = variables.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [folder, *filter(None, others), *(path for path in sys.path if not path.startswith(TESTS))]
    sys.argv[1:] = arguments
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except Exception:  # noqa: BLE001 - the end of the program, as of any other
        traceback.print_exc()
        sys.exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
