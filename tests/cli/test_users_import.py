"""``flask users import``: accounts of other systems."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from authapp import clock
from authapp.cli.users_import import MAX_LINE
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.users import imports
from authapp.domain.users.never_verified import never_verified
from authapp.models import User
from cli.invoking import flask_users, misused, succeeded
from factories import Api, a_user, events_of
from security.foreign import (
    FIREBASE,
    FOREIGN_PASSWORD,
    HASHES,
    KEYCLOAK_SALT,
    KEYCLOAK_SHA256,
    SIGNER_KEY,
)

BCRYPT = HASHES["auth0 bcrypt"]
FIREBASE_CONFIG = {
    "algorithm": "SCRYPT",
    "base64_signer_key": SIGNER_KEY,
    "base64_salt_separator": "Bw==",
    "rounds": 8,
    "mem_cost": 14,
}
KEYCLOAK_PASSWORD = {
    "type": "password",
    "secretData": json.dumps({"value": KEYCLOAK_SHA256, "salt": KEYCLOAK_SALT}),
    "credentialData": json.dumps({"hashIterations": 27_500, "algorithm": "pbkdf2-sha256"}),
}
EMAIL = "grace@example.com"
RECORDS: dict[str, dict[str, Any]] = {
    "authapp": {"email": EMAIL, "password_hash": HASHES["passlib scrypt"], "email_verified": True},
    "auth0": {"email": EMAIL, "email_verified": True, "passwordHash": BCRYPT, "_id": {"$oid": "5a"}},
    "better-auth": {
        "id": "qM3kP",
        "name": "Grace",
        "email": EMAIL,
        "emailVerified": True,
        "password": HASHES["better-auth scrypt"],
        "createdAt": "2020-01-02T03:04:05.000Z",
    },
    "django": {
        "model": "auth.user",
        "pk": 1,
        "fields": {
            "username": "grace",
            "email": EMAIL,
            "password": HASHES["django pbkdf2_sha256"],
            "date_joined": "2020-01-02T03:04:05Z",
            "is_active": True,
        },
    },
    "firebase": {"localId": "x", "email": EMAIL, "emailVerified": True, "createdAt": "1577934245000", **FIREBASE},
    "keycloak": {
        "username": "grace",
        "email": EMAIL,
        "emailVerified": True,
        "enabled": True,
        "createdTimestamp": 1577934245000,
        "credentials": [KEYCLOAK_PASSWORD],
    },
    "laravel": {
        "id": 1,
        "name": "Grace",
        "email": EMAIL,
        "email_verified_at": "2020-01-02 03:04:05",
        "password": HASHES["laravel bcrypt"],
        "created_at": "2020-01-02 03:04:05",
    },
    "supabase": {
        "id": "5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11",
        "email": EMAIL,
        "encrypted_password": HASHES["supabase bcrypt"],
        "email_confirmed_at": "2020-01-02T03:04:05+00:00",
        "created_at": "2020-01-02T03:04:05+00:00",
    },
}


def imported(app: Flask, folder: Path, *records: Any, options: tuple[str, ...] = ()) -> Result:
    """Import these records, or lines that are text."""
    file = folder / "users.jsonl"
    file.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records))
    return flask_users(app, "import", str(file), *options)


def faults(result: Result) -> list[str]:
    """Return the faults that the command named, after checking that it failed."""
    assert result.exit_code == 1, result.output
    *lines, last = result.stderr.splitlines()
    assert last == f"Error: {len(lines)} line(s) have faults, and were not imported."
    return lines


def found(app: Flask, name: str) -> User:
    with app.app_context():
        return Services.of(app).accounts.find(name)


@pytest.mark.parametrize("system", RECORDS)
def test_an_account_of_each_system_logs_in_and_is_argon2id_afterwards(
    app: Flask, api: Api, tmp_path: Path, system: str
) -> None:
    options: tuple[str, ...] = ("--from", system)
    if system == "firebase":
        (tmp_path / "hash.json").write_text(json.dumps({"hash_config": FIREBASE_CONFIG}))
        options += ("--hash-config", str(tmp_path / "hash.json"))

    assert succeeded(imported(app, tmp_path, RECORDS[system], options=options)).startswith("Imported 1 account(s)")

    user = found(app, EMAIL)
    assert user.username == "grace"
    assert system == "django" or user.email_verified_at is not None
    assert system in {"authapp", "auth0"} or clock.rfc3339(user.created_at) == "2020-01-02T03:04:05.000Z"
    assert [event.type for event in events_of(app, user)] == ["user.imported"]
    assert api.log_in(EMAIL, FOREIGN_PASSWORD).status_code == 200
    stored = found(app, EMAIL).password_hash
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert api.log_in(EMAIL, FOREIGN_PASSWORD).status_code == 200


def test_an_import_computes_no_hash(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bcrypt.checkpw", None)

    succeeded(imported(app, tmp_path, {"email": EMAIL, "password_hash": BCRYPT}))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "The line is not JSON."),
        ("[]", "The line must be one JSON object."),
        ('{"email": "a@example.com", "email": "b@example.com"}', "A key appears twice in one JSON object."),
        ("x" * (MAX_LINE + 1), "The line is too long."),
        ({}, "email: Missing."),
        ({"email": 5}, "email: Not of the type that it must have."),
        ({"email": "nobody"}, "email: Not a valid email address."),
        ({"email": EMAIL, "is_admin": True}, "There is no field is_admin."),
        ({"email": EMAIL, "username": "a"}, "username: Must be 3 to 32 of"),
        ({"email": EMAIL, "id": "5"}, "id: Not a UUID."),
        ({"email": EMAIL, "status": "admin"}, "status: Must be one of: active, disabled."),
        ({"email": EMAIL, "roles": ["nobody-has-it"]}, "roles: There is no such role."),
        ({"email": EMAIL, "roles": ["NO ROLE"]}, "roles: "),
        ({"email": EMAIL, "created_at": "yesterday"}, "created_at: Not a time"),
        ({"email": EMAIL, "created_at": "2999-01-01T00:00:00Z"}, "created_at: Not a time from 1970 until now."),
        ({"email": EMAIL, "password_hash": "secret"}, "password_hash: The password hash has no known format."),
        (
            {"email": EMAIL, "password_hash": BCRYPT.replace("$10$", "$15$")},
            "password_hash: The bcrypt hash has a cost beyond 14.",
        ),
    ],
    ids=str,
)
def test_a_line_with_a_fault_is_named_and_stops_no_other(app: Flask, tmp_path: Path, record: Any, reason: str) -> None:
    result = imported(app, tmp_path, {"email": "ada@example.com"}, "", record, {"email": "joan@example.com"})

    (fault,) = faults(result)
    assert fault.startswith(f"line 3: {reason}")
    assert "secret" not in result.output
    assert (found(app, "ada").email, found(app, "joan").email) == ("ada@example.com", "joan@example.com")


def test_fields_of_another_system_are_a_fault(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL}, {"fields": 5}, options=("--from", "django"))

    assert faults(result) == ["line 1: It has no password.", "line 2: It has not the fields of django."]


def test_an_account_that_is_there_is_a_fault_or_is_skipped(app: Flask, tmp_path: Path) -> None:
    ada = a_user(app, "ada")
    records = [
        {"email": "ADA@example.com", "username": "other"},
        {"email": "other@example.com", "username": "ADA"},
        {"email": "third@example.com", "id": str(ada.id)},
        {"email": EMAIL},
        {"email": EMAIL},
    ]

    assert faults(imported(app, tmp_path, *records)) == [f"line {line}: {imports.TAKEN}" for line in (1, 2, 3, 5)]
    skipped = imported(app, tmp_path, *records, options=("--on-conflict", "skip"))
    assert succeeded(skipped) == "Imported 0 account(s), skipped 5, to line 5.\n"
    assert found(app, "ada").password_hash == ada.password_hash


def test_usernames_are_made_where_there_are_none(app: Flask, tmp_path: Path) -> None:
    emails = ["grace@example.com", "grace@example.org", "a@example.com", "\u00fc.ber+tag@example.com"]

    succeeded(imported(app, tmp_path, *({"email": email} for email in emails)))

    first, second, third, fourth = (found(app, email).username for email in emails)
    assert (first, third, fourth) == ("grace", "usera", "bertag")
    assert second == f"grace-{found(app, emails[1]).id.hex[-8:]}"


def test_roles_and_status_are_imported_and_recorded(app: Flask, api: Api, tmp_path: Path) -> None:
    record = {"email": EMAIL, "roles": ["admin"], "status": "disabled", "password_hash": BCRYPT}

    succeeded(imported(app, tmp_path, record))

    user = found(app, EMAIL)
    assert (user.roles, user.status) == (["admin"], "disabled")
    assert {event.type for event in events_of(app, user)} == {"user.imported", "role.granted"}
    assert api.log_in(EMAIL, FOREIGN_PASSWORD).status_code == 401
    assert found(app, EMAIL).password_hash == "imported$" + BCRYPT


def test_a_dry_run_finds_the_faults_and_stores_nothing(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL}, {}, options=("--dry-run",))

    assert faults(result) == ["line 2: email: Missing."]
    assert result.stdout == "Would import 1 account(s), skipped 0, to line 2.\n"
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_an_import_that_stopped_goes_on_after_the_last_batch(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)
    records = [{"email": f"person{number}@example.com"} for number in range(1, 6)]
    store = imports._store

    def fails_at_the_second(accounts: Any, context: Any) -> Any:
        if accounts[0].email == "person3@example.com":
            raise KeyboardInterrupt
        return store(accounts, context)

    with monkeypatch.context() as stopped:
        stopped.setattr(imports, "_store", fails_at_the_second)
        result = imported(app, tmp_path, *records)
    assert result.exit_code == 1
    assert result.stderr.startswith("Stopped. Go on with: --after 2\n")

    rest = imported(app, tmp_path, *records, options=("--after", "2"))
    assert succeeded(rest) == "Imported 3 account(s), skipped 0, to line 5.\n"


def test_hash_parameters_belong_to_firebase(app: Flask, tmp_path: Path) -> None:
    misused(imported(app, tmp_path, options=("--from", "firebase")))


def test_an_unverified_account_that_was_imported_is_not_pruned_at_once(app: Flask, tmp_path: Path) -> None:
    succeeded(imported(app, tmp_path, {"email": EMAIL, "created_at": "2020-01-02T03:04:05Z"}))

    with app.app_context():
        (rows,) = never_verified(30)
        assert rows.delete_rows(rows.condition(clock.now())) == 0
