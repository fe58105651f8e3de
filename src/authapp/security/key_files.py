"""The file that holds the private keys in development."""

import os
from pathlib import Path
from secrets import token_hex

from authapp.security.keys import Key, KeyRing


def ensure_key_file(path: Path) -> str:
    """Return the JWK Set in ``path``, after making one there when there is none.

    Several workers may start at once: whoever creates the file first wins, and the others read what it holds.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{token_hex(8)}")
        try:
            write_private(draft, KeyRing([Key.generate()]).to_json())
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text()


def replace_private(path: Path, text: str) -> None:
    """Put ``text`` in the place of what ``path`` holds, for the same owner, in one step.

    A server that reads the file at this moment finds the old ring or the new one, never half of one.
    """
    path = path.resolve()  # a link stays a link
    before = path.stat()
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        write_private(draft, text)
        draft.chmod(before.st_mode & 0o7777)
        if os.geteuid() == 0:
            os.chown(draft, before.st_uid, before.st_gid)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def write_private(path: Path, text: str) -> None:
    """Create ``path``, readable by its owner alone. Raises ``FileExistsError`` when it is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
