"""The files that hold the secret keys."""

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from authapp import clock
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import Key, KeyRing


def ensure_key_file(path: Path) -> str:
    """Return the JWK Set in ``path``; create the file with a new key that signs if it does not exist."""
    return _ensure(path, lambda: KeyRing([Key.generate()]).to_json())


def ensure_encryption_key_file(path: Path) -> str:
    """Return the JWK Set in ``path``; create the file with a new key that encrypts if it does not exist."""
    return _ensure(path, lambda: EncryptionKeys.generate(int(clock.now().timestamp())).to_json())


def _ensure(path: Path, create: Callable[[], str]) -> str:
    # Several workers may start at once. The first one creates the file, and the others read it.
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{token_hex(8)}")
        try:
            write_private(draft, create())
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text()


def replace_private(path: Path, text: str) -> None:
    """Replace the content of ``path`` with ``text`` atomically, keeping the owner and the mode.

    A server that reads the file at the same time gets the old ring or the new one, never part of one.
    """
    path = path.resolve()  # replace the target of a symbolic link, not the link
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
    """Create ``path``, readable only by its owner. Raises ``FileExistsError`` if it already exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
