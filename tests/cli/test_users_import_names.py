"""Usernames and ids of other systems that cannot be kept."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from cli.invoking import flask_users, misused, refused, succeeded
from cli.test_users_import import EMAIL, RECORDS, errors_of, found, imported, options_of
from factories import a_user

DJANGO = RECORDS["django"]["fields"]


@pytest.mark.parametrize("username", [EMAIL, "dj+1", "g", "x" * 33, ""])
@pytest.mark.parametrize(
    ("system", "record"),
    [
        ("django", lambda username: {"fields": {**DJANGO, "username": username}}),
        *(
            (system, lambda username, system=system: {**RECORDS[system], "username": username})
            for system in ("auth0", "better-auth", "keycloak", "laravel")
        ),
    ],
)
def test_a_username_that_breaks_the_rule_here_is_made_of_the_address(
    app: Flask, tmp_path: Path, system: str, record: Any, username: str
) -> None:
    result = imported(app, tmp_path, record(username), options=("--from", system))

    assert succeeded(result).endswith("\nMade the username of 1 of them from the address.\n")
    assert found(app, EMAIL).username == "grace"


def test_a_user_of_django_may_have_no_username_or_no_other_address(app: Flask, tmp_path: Path) -> None:
    nameless = {name: value for name, value in DJANGO.items() if name != "username"}
    records = [{"fields": nameless}, {"fields": {**DJANGO, "username": "ada@example.org", "email": ""}}]

    succeeded(imported(app, tmp_path, *records, options=("--from", "django")))

    assert (found(app, EMAIL).username, found(app, "ada@example.org").username) == ("grace", "ada")


def test_only_usernames_that_were_made_are_counted(app: Flask, tmp_path: Path) -> None:
    a_user(app, "ada")
    records = [{"email": EMAIL, "username": "grace"}, {"email": "ada@example.com"}, {"email": "joan@example.com"}]

    result = imported(app, tmp_path, *records, options=("--on-conflict", "skip"))

    assert succeeded(result).splitlines() == [
        "Imported 2 account(s), skipped 1, to line 3.",
        "Made the username of 1 of them from the address.",
    ]
    assert "Made the username" not in imported(app, tmp_path, {"email": "k@example.com", "username": "kay"}).stdout


@pytest.mark.parametrize(
    ("system", "fields", "foreign_id"),
    [
        ("django", {"pk": 41}, 41),
        ("laravel", {"id": 7}, 7),
        ("auth0", {"_id": {"$oid": "5a"}}, "5a"),
        ("firebase", {"localId": "x7"}, "x7"),
        ("keycloak", {"id": "f:ldap:grace"}, "f:ldap:grace"),
        ("better-auth", {"id": "qM3kP"}, "qM3kP"),
    ],
)
def test_ids_that_cannot_be_kept_are_written_beside_the_new_ones(
    app: Flask, tmp_path: Path, system: str, fields: dict[str, Any], foreign_id: object
) -> None:
    out = tmp_path / "ids.jsonl"
    record = {**RECORDS[system], **fields}

    succeeded(imported(app, tmp_path, "", record, options=(*options_of(system, tmp_path), "--ids-out", str(out))))

    assert json.loads(out.read_text()) == {"line": 2, "foreign_id": foreign_id, "id": str(found(app, EMAIL).id)}
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("system", "fields"),
    [
        ("supabase", {}),
        ("django", {"pk": "5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11"}),
        ("laravel", {"id": "5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11"}),
        ("keycloak", {"id": "5F2C6F0E-6D0A-4C39-9A51-5A0F1B8F6C11"}),
        ("keycloak", {"id": "5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11"}),
        ("laravel", {"id": None}),
        ("authapp", {"id": "5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11"}),
    ],
)
def test_ids_that_are_kept_or_that_there_are_not_are_not_written(
    app: Flask, tmp_path: Path, system: str, fields: dict[str, Any]
) -> None:
    out = tmp_path / "ids.jsonl"
    record = {**RECORDS[system], **fields}

    succeeded(imported(app, tmp_path, record, options=("--from", system, "--ids-out", str(out))))

    assert out.read_text() == ""
    if "5f2c" in str(record).lower():
        assert found(app, EMAIL).id == UUID("5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11")


def test_a_later_import_adds_to_the_file_of_ids(app: Flask, tmp_path: Path) -> None:
    out = tmp_path / "ids.jsonl"
    records = [{**RECORDS["laravel"], "id": number, "email": f"person{number}@example.com"} for number in range(4)]
    records[0]["email"] = "nobody"

    for after in (0, 2):
        options = ("--from", "laravel", "--ids-out", str(out), "--after", str(after))
        imported(app, tmp_path, *records[: after + 2], options=options)

    assert [json.loads(line)["foreign_id"] for line in out.read_text().splitlines()] == [1, 2, 3]


def test_an_id_that_is_no_scalar_is_an_error(app: Flask, tmp_path: Path) -> None:
    of_laravel = [{**RECORDS["laravel"], "id": value} for value in ([1], True, 1.5)]

    assert errors_of(imported(app, tmp_path, *of_laravel, options=("--from", "laravel"))) == [
        f"line {line}: The id is neither text nor a whole number." for line in (1, 2, 3)
    ]
    record = {**RECORDS["auth0"], "_id": 5}
    assert errors_of(imported(app, tmp_path, record, options=("--from", "auth0"))) == [
        "line 1: Not an object of the export of auth0."
    ]


def test_ids_are_not_written_by_a_dry_run_and_not_into_nowhere(app: Flask, tmp_path: Path) -> None:
    misused(imported(app, tmp_path, options=("--dry-run", "--ids-out", str(tmp_path / "ids.jsonl"))))
    nowhere = str(tmp_path / "none" / "ids.jsonl")
    refused(flask_users(app, "import", "-", "--ids-out", nowhere, stdin=""), f"{nowhere} cannot be written")
