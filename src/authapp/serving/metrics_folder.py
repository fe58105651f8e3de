"""The folder that the workers count in: made by the master, and locked while it or one of its workers runs."""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "authapp-metrics-"


class MetricsFolder:
    """A folder that the master makes and the workers write into.

    Its lock is shared with the workers, which are forks, and ends with the last of these processes, however it ends.
    """

    def __init__(self, path: str, owner: tuple[int, int]) -> None:
        """Take where it is or is to be, and the user and the group of the workers."""
        self.path, self._owner = path, owner
        self._lock: int | None = None

    @classmethod
    def make(cls, owner: tuple[int, int]) -> "MetricsFolder":
        """Return a new folder, after removing those whose program was killed. Raises ``OSError``."""
        _remove_abandoned(owner[0])
        folder = cls(tempfile.mkdtemp(prefix=PREFIX), owner)
        folder._take()
        return folder

    def keep(self) -> bool:
        """Make the folder again if it is gone, as with a cleaner of ``/tmp``, and tell whether it was.

        Raises ``OSError`` if that is not possible, or if somebody else has made one of this name: workers would write
        through their links.
        """
        try:
            found = Path(self.path).lstat()
        except FileNotFoundError:
            Path(self.path).mkdir(0o700)
            self._take()
            return True
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._owner[0] or found.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "the folder is somebody else's")
        return False

    def remove(self) -> None:
        """Remove the folder with all that has been counted."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _take(self) -> None:
        """Lock the folder, and let the workers write into it."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = _open(Path(self.path))
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.geteuid() == 0:
            os.chown(self.path, *self._owner)


def _remove_abandoned(user: int) -> None:
    """Remove the folders of this user that nobody has locked: in memory, they would add up until it is full."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is locked, somebody else's, or gone
            lock = _open(path)
            try:
                if os.fstat(lock).st_uid == user:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
