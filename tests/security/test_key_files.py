import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from authapp.security.key_files import ensure_key_file, write_private
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
