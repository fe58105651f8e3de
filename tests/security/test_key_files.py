import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from authapp.security.key_files import ensure_key_file, replace_private, write_private
from authapp.security.keys import KeyRing

RACE = """
import os, pathlib, sys
from authapp.security.key_files import ensure_key_file
folder, runners = pathlib.Path(sys.argv[1]), int(sys.argv[2])
barrier, start = os.pipe()
for number in range(runners):
    if os.fork() == 0:
        os.close(start)
        os.read(barrier, 1)  # returns when the parent closes its end, for all at once
        (folder / f"read-{number}").write_text(ensure_key_file(folder / "instance" / "jwt-keys.json"))
        os._exit(0)
os.close(start)
sys.exit(any(os.wait()[1] for _ in range(runners)))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_file_is_made_once_and_read_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "instance" / "jwt-keys.json"

    first = ensure_key_file(path)

    assert KeyRing.from_json(first).signing.alg == "ES256"
    assert ensure_key_file(path) == first == path.read_text()
    assert list(path.parent.iterdir()) == [path]


def test_only_its_owner_reads_a_key_file(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        ensure_key_file(tmp_path / "made.json")
        write_private(tmp_path / "written.json", "{}")
    finally:
        os.umask(mask)

    assert mode(tmp_path / "made.json") == mode(tmp_path / "written.json") == 0o600


def test_a_key_file_that_is_there_is_read_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "jwt-keys.json"
    path.write_text("mine")

    assert ensure_key_file(path) == "mine"
    assert path.read_text() == "mine"


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        write_private(path, "theirs")
    assert path.read_text() == "mine"


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(FileExistsError):
        write_private(link, "theirs")
    assert not (tmp_path / "elsewhere.json").exists()


def test_whoever_comes_second_reads_what_the_first_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jwt-keys.json"
    link = os.link

    def overtaken(source: Path, target: Path) -> None:
        path.write_text("the first")
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)

    assert ensure_key_file(path) == "the first"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", RACE, tmp_path, "8"], check=True, timeout=60)

    made = tmp_path / "instance" / "jwt-keys.json"
    assert KeyRing.from_json(made.read_text())
    assert [(tmp_path / f"read-{number}").read_text() for number in range(8)] == [made.read_text()] * 8
    assert list(made.parent.iterdir()) == [made]


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o400])
def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "keys.json"
    path.write_text("old")
    path.chmod(kept)

    replace_private(path, "new")

    assert path.read_text() == "new\n"
    assert mode(path) == kept
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_has_the_file_open_reads_the_old_one_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("old")

    with path.open() as reader:
        replace_private(path, "new")
        assert reader.read() == "old"


def test_a_reader_finds_the_old_text_or_the_new_one_and_never_half_of_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    texts = {character * 50_000 + "\n" for character in "ab"}
    path.write_text("a" * 50_000 + "\n")
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(100):
            replace_private(path, "ab"[number % 2] * 50_000)
    finally:
        done.set()
        reader.join(10)

    assert seen <= texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_private(tmp_path / "keys.json", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_replacement_that_fails_leaves_the_old_file_and_no_draft_with_keys_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_text("old")

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(OSError, match="No space left"):
        replace_private(path, "new")
    monkeypatch.undo()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
