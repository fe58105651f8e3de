"""Lines of ``flask users import`` whose id, address or username an account has."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authapp.domain.imports import clashes, imports
from authapp.domain.services import Services
from cli.invoking import succeeded
from cli.test_users_import import BCRYPT, EMAIL, RECORDS, errors_of, found, imported
from factories import a_user

SKIP = ("--on-conflict", "skip")
TAKEN = "Another account has it."


def test_an_account_that_is_there_is_an_error_or_is_skipped(app: Flask, tmp_path: Path) -> None:
    ada = a_user(app, "ada")
    records = [
        {"email": "ADA@example.com", "username": "other"},
        {"email": "third@example.com", "id": str(ada.id)},
        {"email": EMAIL},
        {"email": EMAIL},
    ]

    errors = errors_of(imported(app, tmp_path, *records))
    assert errors == [f"line {line}: {field}: {TAKEN}" for line, field in ((1, "email"), (2, "id"), (4, "email"))]
    skipped = imported(app, tmp_path, *records, options=SKIP)
    assert succeeded(skipped) == "Imported 0 account(s), skipped 4, to line 4.\n"
    assert found(app, "ada").password_hash == ada.password_hash


@pytest.mark.parametrize("options", [(), SKIP])
def test_a_username_of_somebody_else_is_an_error_and_never_skipped(
    app: Flask, tmp_path: Path, options: tuple[str, ...]
) -> None:
    a_user(app, "ada")

    result = imported(app, tmp_path, {"email": "lovelace@example.org", "username": "ADA"}, options=options)

    assert errors_of(result) == [f"line 1: username: {TAKEN}"]


def test_a_username_that_was_made_gives_way_to_one_that_came_with_its_account(app: Flask, tmp_path: Path) -> None:
    records = [{"email": "ada@example.com"}, {"email": "lovelace@example.com", "username": "ada"}]

    for expected in ("Imported 2 account(s), skipped 0", "Imported 0 account(s), skipped 2"):
        assert succeeded(imported(app, tmp_path, *records, options=SKIP)).startswith(expected)

    assert found(app, "lovelace@example.com").username == "ada"
    assert found(app, "ada@example.com").username.startswith("ada-")


def test_a_line_is_not_skipped_for_one_further_up_that_was_refused(app: Flask, tmp_path: Path) -> None:
    a_user(app, "ada")
    records = [{"email": EMAIL, "username": "ada"}, {"email": EMAIL, "username": "grace"}]

    result = imported(app, tmp_path, *records, options=SKIP)

    assert errors_of(result) == [f"line 1: username: {TAKEN}"]
    assert found(app, EMAIL).username == "grace"


def as_it_was_at_first(monkeypatch: pytest.MonkeyPatch, attempts: int = 1) -> None:
    """Let the first attempts to import a batch find nothing that is taken."""
    real, answers = clashes._like, iter(range(attempts * 3))

    def like(column: Any, values: Any) -> Any:
        return real(column, values if next(answers, None) is None else [])

    monkeypatch.setattr(clashes, "_like", like)


def test_what_is_taken_at_the_same_moment_is_seen_by_the_next_attempt(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = a_user(app, "ada")
    as_it_was_at_first(monkeypatch)
    records = [{"email": ada.email, "roles": ["admin"]}, {"email": "ada@example.org", "password_hash": BCRYPT}]

    result = imported(app, tmp_path, *records)

    assert errors_of(result) == [f"line 1: email: {TAKEN}"]
    assert found(app, "ada").roles == []
    assert found(app, "ada@example.org").username.startswith("ada-")


def test_a_batch_that_the_database_refuses_each_time_stops_the_import(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = a_user(app, "ada")
    as_it_was_at_first(monkeypatch, imports.ATTEMPTS)

    result = imported(app, tmp_path, {"email": EMAIL}, {"email": ada.email, "username": "other"})

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Stopped. Go on with: --after 0 --on-conflict skip",
        "Error: The database refuses one of the lines 1 to 2 by its constraint uq_users_email_key.",
    ]


@pytest.fixture
def a_taken_part(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another account have what each line has as ``totp_secret``."""
    part = Services.of(app).imports._parts["totp_secret"]
    values = {**vars(part), "read": str, "taken": set}
    monkeypatch.setitem(Services.of(app).imports._parts, "totp_secret", type(part)(**values))


@pytest.mark.usefixtures("a_taken_part")
def test_a_line_is_not_skipped_for_one_further_up_whose_part_is_taken(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL, "totp_secret": "A" * 32}, {"email": EMAIL}, options=SKIP)

    assert errors_of(result) == [f"line 1: totp_secret: {TAKEN}", f"line 2: email: {TAKEN}"]


def test_an_import_that_is_run_again_writes_the_whole_map_of_ids(app: Flask, tmp_path: Path) -> None:
    records = [{**RECORDS["laravel"], "id": number, "email": f"person{number}@example.com"} for number in range(3)]
    a_user(app, "person1", email="person1@example.com")
    maps = []
    for name in ("first", "second"):
        out = tmp_path / name
        options = ("--from", "laravel", "--ids-out", str(out), *SKIP)
        succeeded(imported(app, tmp_path, *records, options=options))
        maps.append([json.loads(line) for line in out.read_text().splitlines()])

    assert maps[0] == maps[1]
    assert [(each["foreign_id"], each["id"]) for each in maps[0]] == [
        (number, str(found(app, f"person{number}").id)) for number in range(3)
    ]


def test_a_map_of_ids_that_cannot_be_written_stops_before_the_lines_that_it_lacks(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 1)
    records = [{**RECORDS["laravel"], "id": number, "email": f"person{number}@example.com"} for number in range(3)]

    full = imported(app, tmp_path, *records, options=("--from", "laravel", "--ids-out", "/dev/full"))

    assert full.exit_code == 1
    assert full.stderr.splitlines() == [
        "Stopped. Go on with: --after 0 --on-conflict skip",
        "Error: /dev/full cannot be written: No space left on device.",
    ]
    out = tmp_path / "ids"
    again = imported(
        app, tmp_path, *records, options=("--from", "laravel", "--ids-out", str(out), "--after", "0", *SKIP)
    )
    assert succeeded(again).startswith("Imported 2 account(s), skipped 1")
    assert [json.loads(line)["foreign_id"] for line in out.read_text().splitlines()] == [0, 1, 2]
