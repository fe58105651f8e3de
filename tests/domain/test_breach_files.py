"""Breached passwords in a file of one's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from authapp.domain.passwords.breached import breached_passwords
from breach_files import NEVER_LOST, listed, skipped
from conftest import reconfigured
from factories import a_user
from range_server import BREACHED, digest


def in_file(path: Path, password: str) -> bool:
    found = breached_passwords(path.as_uri())
    assert found is not None
    return found.source.has_digest(digest(password).encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", [str, str.lower, "{}:12".format, "{}:1234567".format], ids=["", "low", "2", "7"])
@pytest.mark.parametrize("last", [True, False])
def test_every_password_of_a_file_is_found_and_no_other(
    tmp_path: Path, end: str, form: Callable[[str], str], last: bool
) -> None:
    path = listed(tmp_path, BREACHED, end=end, form=form, last=last)
    assert all(in_file(path, f"another password {number}") for number in range(1000))
    assert in_file(path, BREACHED)
    assert not any(in_file(path, f"no password {number}") for number in range(1000))


def test_a_zero_count_in_a_file_is_no_breach(tmp_path: Path) -> None:
    assert not in_file(listed(tmp_path, BREACHED, form="{}:0".format), BREACHED)


def test_a_file_of_one_line_is_searched(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(digest(BREACHED))
    assert in_file(tmp_path / "one", BREACHED)
    assert not in_file(tmp_path / "one", NEVER_LOST)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = listed(tmp_path)
    source = breached_passwords(path.as_uri())
    assert source is not None
    assert not source.source.has_digest(digest(BREACHED).encode())
    (tmp_path / "new").mkdir()
    listed(tmp_path / "new", BREACHED).replace(path)
    assert source.source.has_digest(digest(BREACHED).encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"x" * 10_000, "no SHA-1 hash"),
        (b"password\nqwerty\n", "no SHA-1 hash"),
        (b"0" * 39 + b"\n", "no SHA-1 hash"),
        (b"0" * 40 + b";3\n", "no SHA-1 hash"),
    ],
)
def test_a_file_that_is_no_list_refuses_nobody_and_is_recorded(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "breached.txt"
    if content is not None:
        path.write_bytes(content)
    reconfigured(app, monkeypatch, breached_passwords=path.as_uri())
    a_user(app, password=BREACHED)
    (recorded,) = skipped(app)
    assert reason in recorded
