"""What ``flask users import`` says of lines that it cannot import."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authapp.cli.users_import import MAX_LINE
from authapp.database.session import db
from authapp.domain.imports import imports
from authapp.models import User
from cli.invoking import misused, refused, succeeded
from cli.test_users_import import (
    BCRYPT,
    EMAIL,
    FIREBASE_CONFIG,
    KEYCLOAK_ARGON2_PASSWORD,
    RECORDS,
    faults,
    found,
    imported,
)
from conftest import reconfigured
from factories import a_user


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
        ({"email": EMAIL, "kind": "service"}, "There is no field kind."),
        ({"email": EMAIL, "totp_secret": "JBSWY3DPEHPK3PX0"}, "totp_secret: Not base32."),
        ({"email": EMAIL, "totp_secret": "\u00c4" * 16}, "totp_secret: Not base32."),
        ({"email": EMAIL, "totp_secret": "JBSWY3DP"}, "totp_secret: Must have 10 to 64 bytes."),
        ({"email": EMAIL, "totp_secret": "A" * 104}, "totp_secret: Must have 10 to 64 bytes."),
        ({"email": EMAIL, "username": "a"}, "username: Must be 3 to 32 of"),
        ({"email": EMAIL, "id": "5"}, "id: Not a UUID."),
        ({"email": EMAIL, "status": "admin"}, "status: Must be one of: active, disabled."),
        ({"email": EMAIL, "roles": ["nobody-has-it"]}, "roles: There is no such role."),
        ({"email": EMAIL, "roles": ["NO ROLE"]}, "roles: "),
        ({"email": EMAIL, "created_at": "yesterday"}, "created_at: Not a time"),
        ({"email": EMAIL, "created_at": "2999-01-01T00:00:00Z"}, "created_at: Not a time from 1970 until now."),
        ({"email": EMAIL, "password_hash": "in-plain-text"}, "password_hash: The password hash has no known format."),
        (
            {"email": EMAIL, "password_hash": BCRYPT.replace("$10$", "$15$")},
            "password_hash: The bcrypt hash has a cost beyond 14.",
        ),
        *(
            (
                {"email": EMAIL, "password_hash": prefix + re.sub(r"^\$2.", "$2x", BCRYPT)},
                "password_hash: A bcrypt hash with $2x$ is of a faulty version",
            )
            for prefix in ("", "bcrypt$", "bcrypt_sha256$")
        ),
    ],
    ids=str,
)
def test_a_line_with_a_fault_is_named_and_stops_no_other(app: Flask, tmp_path: Path, record: Any, reason: str) -> None:
    result = imported(app, tmp_path, {"email": "ada@example.com"}, "", record, {"email": "joan@example.com"})

    (fault,) = faults(result)
    assert fault.startswith(f"line 3: {reason}")
    assert "in-plain-text" not in result.output
    assert "JBSWY3DP" not in result.output
    assert (found(app, "ada").email, found(app, "joan").email) == ("ada@example.com", "joan@example.com")


def test_fields_of_another_system_are_a_fault(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL}, {"fields": 5}, options=("--from", "django"))

    assert faults(result) == ["line 1: It has no password.", "line 2: It has not the fields of django."]


def test_text_within_a_line_that_is_nested_too_deep_is_a_fault(app: Flask, tmp_path: Path) -> None:
    password = {"type": "password", "secretData": "[" * 30_000, "credentialData": "{}"}
    record = {"email": EMAIL, "credentials": [password]}

    result = imported(app, tmp_path, record, options=("--from", "keycloak"))

    assert faults(result) == ["line 1: It has not the fields of keycloak."]


def with_argon2(**changes: Any) -> dict[str, Any]:
    """Return an account of Keycloak whose argon2 has these parameters."""
    data = json.loads(KEYCLOAK_ARGON2_PASSWORD["credentialData"])
    data["additionalParameters"].update(changes)
    return {"email": EMAIL, "credentials": [{**KEYCLOAK_ARGON2_PASSWORD, "credentialData": json.dumps(data)}]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (with_argon2(type=[]), "It has not the fields of keycloak."),
        (with_argon2(memory=["secret"]), "A number in it is not one."),
        ({"email": EMAIL, "createdTimestamp": 10**20}, "The time when it was made is not one in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": "1" * 400}, "The time when it was made is not one in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": 10**15}, "The time when it was made is not one in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": "secret"}, "The time when it was made is not one in milliseconds."),
    ],
    ids=["empty list", "no number", "no time of the system", "no float", "no year", "text"],
)
def test_a_damaged_line_of_another_system_stops_no_other_and_is_not_quoted(
    app: Flask, tmp_path: Path, record: dict[str, Any], reason: str
) -> None:
    result = imported(app, tmp_path, record, {"email": "joan@example.com"}, options=("--from", "keycloak"))

    assert faults(result) == [f"line 1: {reason}"]
    assert found(app, "joan").email == "joan@example.com"


def test_the_end_of_a_ban_that_is_no_time_is_a_fault(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {**RECORDS["supabase"], "banned_until": "soon"}, options=("--from", "supabase"))

    assert faults(result) == ["line 1: banned_until: Not a time in the form of RFC 3339."]


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


def test_a_name_that_is_taken_at_the_same_moment_is_a_fault(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = a_user(app, "ada")
    monkeypatch.setattr(imports, "_taken", lambda *_: set())  # as it was when the import looked

    result = imported(app, tmp_path, {"email": ada.email, "roles": ["admin"]}, {"email": EMAIL})

    assert faults(result) == [f"line 1: {imports.TAKEN}"]
    assert found(app, "ada").roles == []
    assert found(app, EMAIL).username == "grace"


def test_a_secret_that_cannot_be_encrypted_is_a_fault(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, encryption_keys=None)

    (fault,) = faults(imported(app, tmp_path, {"email": EMAIL, "totp_secret": "A" * 32}))

    assert fault.startswith("line 1: totp_secret: AUTHAPP_ENCRYPTION_KEYS is not set")
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_hash_parameters_belong_to_firebase(app: Flask, tmp_path: Path) -> None:
    misused(imported(app, tmp_path, options=("--from", "firebase")))
    (tmp_path / "hash.json").write_text("{}")
    misused(imported(app, tmp_path, options=("--hash-config", str(tmp_path / "hash.json"))))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "It has no base64_signer_key."),
        ({**FIREBASE_CONFIG, "rounds": "secret"}, "A number in it is not one."),
        ({**FIREBASE_CONFIG, "rounds": []}, "It has not the parameters of firebase."),
        ({**FIREBASE_CONFIG, "mem_cost": 40}, "The scrypt hash needs more than 256 MiB."),
        ({**FIREBASE_CONFIG, "base64_signer_key": "&"}, "The password hash is damaged."),
        ([], "It has not the parameters of firebase."),
    ],
    ids=["nothing", "text", "list", "too dear", "no base64", "no object"],
)
def test_hash_parameters_that_cannot_be_used_are_named_once(
    app: Flask, tmp_path: Path, config: Any, reason: str
) -> None:
    file = tmp_path / "hash.json"
    file.write_text(json.dumps({"hash_config": config}))

    result = imported(app, tmp_path, RECORDS["firebase"], options=("--from", "firebase", "--hash-config", str(file)))

    refused(result, f"{file}: {reason}")


def test_a_system_that_there_is_not_is_refused(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, options=("--from", "nobody"))

    assert result.exit_code == 2
    assert "'nobody' is not one of authapp, auth0, better-auth, django" in result.stderr
