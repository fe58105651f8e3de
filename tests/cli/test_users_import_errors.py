"""What ``flask users import`` says of lines that it cannot import."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authapp.cli.users_import import MAX_LINE
from authapp.database.session import db
from authapp.models import User
from cli.invoking import misused, refused
from cli.test_users_import import (
    BCRYPT,
    EMAIL,
    FIREBASE_CONFIG,
    KEYCLOAK_ARGON2_PASSWORD,
    RECORDS,
    errors_of,
    found,
    imported,
    options_of,
)
from conftest import reconfigured


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
        ({"email": EMAIL, "\x1b[2J": 1}, "There is no field ?[2J."),
        ({"email": EMAIL, "roles": [1]}, "roles: Not a list of names."),
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
            "password_hash: The bcrypt hash has a cost that is not from 4 to 14.",
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
def test_a_line_with_an_error_is_named_and_stops_no_other(app: Flask, tmp_path: Path, record: Any, reason: str) -> None:
    result = imported(app, tmp_path, {"email": "ada@example.com"}, "", record, {"email": "joan@example.com"})

    (error,) = errors_of(result)
    assert error.startswith(f"line 3: {reason}")
    assert "in-plain-text" not in result.output
    assert "JBSWY3DP" not in result.output
    assert (found(app, "ada").email, found(app, "joan").email) == ("ada@example.com", "joan@example.com")


def test_fields_of_another_system_are_errors(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL}, {"fields": 5}, options=("--from", "django"))

    assert errors_of(result) == ["line 1: password: Missing.", "line 2: Not an object of the export of django."]


def test_text_within_a_line_that_is_nested_too_deep_is_an_error(app: Flask, tmp_path: Path) -> None:
    password = {"type": "password", "secretData": "[" * 30_000, "credentialData": "{}"}
    record = {"email": EMAIL, "credentials": [password]}

    result = imported(app, tmp_path, record, options=("--from", "keycloak"))

    assert errors_of(result) == ["line 1: Not an object of the export of keycloak."]


def with_argon2(**changes: Any) -> dict[str, Any]:
    """Return an account of Keycloak whose argon2 has these parameters."""
    data = json.loads(KEYCLOAK_ARGON2_PASSWORD["credentialData"])
    data["additionalParameters"].update(changes)
    return {"email": EMAIL, "credentials": [{**KEYCLOAK_ARGON2_PASSWORD, "credentialData": json.dumps(data)}]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (with_argon2(type=[]), "Not an object of the export of keycloak."),
        (with_argon2(memory=["secret"]), "A cost of the hash is not a number."),
        ({"email": EMAIL, "createdTimestamp": 10**20}, "createdTimestamp: Not a time in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": "1" * 400}, "createdTimestamp: Not a time in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": 10**15}, "createdTimestamp: Not a time in milliseconds."),
        ({"email": EMAIL, "createdTimestamp": "secret"}, "createdTimestamp: Not a time in milliseconds."),
    ],
    ids=["empty list", "no number", "no time of the system", "no float", "no year", "text"],
)
def test_a_damaged_line_of_another_system_stops_no_other_and_is_not_quoted(
    app: Flask, tmp_path: Path, record: dict[str, Any], reason: str
) -> None:
    result = imported(app, tmp_path, record, {"email": "joan@example.com"}, options=("--from", "keycloak"))

    assert errors_of(result) == [f"line 1: {reason}"]
    assert found(app, "joan").email == "joan@example.com"


@pytest.mark.parametrize(
    ("system", "field", "value"),
    [
        *((system, "emailVerified", "false") for system in ("better-auth", "firebase", "keycloak")),
        ("auth0", "email_verified", "false"),
        ("auth0", "blocked", "f"),
        ("better-auth", "banned", "true"),
        ("django", "is_active", "f"),
        ("firebase", "disabled", 2),
        ("keycloak", "enabled", "false"),
    ],
)
def test_text_is_neither_true_nor_false(app: Flask, tmp_path: Path, system: str, field: str, value: Any) -> None:
    """Exports that came by way of a table have text, and an address must not be verified by the word "false"."""
    record = {"email": EMAIL, "password": "", "salt": "", field: value}
    result = imported(app, tmp_path, record, options=options_of(system, tmp_path))

    assert errors_of(result) == [f"line 1: {field}: Neither true nor false."]


@pytest.mark.parametrize(
    ("system", "field", "value"),
    [
        ("supabase", "banned_until", "soon"),
        ("supabase", "email_confirmed_at", "false"),
        ("laravel", "email_verified_at", "0000-00-00 00:00:00"),
        ("laravel", "email_verified_at", False),
    ],
)
def test_what_is_no_time_is_an_error(app: Flask, tmp_path: Path, system: str, field: str, value: Any) -> None:
    result = imported(app, tmp_path, {**RECORDS[system], field: value}, options=("--from", system))

    assert errors_of(result) == [f"line 1: {field}: Not a time in the form of RFC 3339."]


@pytest.mark.parametrize(("system", "field"), [("supabase", "email_confirmed_at"), ("laravel", "email_verified_at")])
@pytest.mark.parametrize("value", ["", None])
def test_no_time_verifies_no_address(app: Flask, tmp_path: Path, system: str, field: str, value: str | None) -> None:
    imported(app, tmp_path, {**RECORDS[system], field: value}, options=("--from", system))

    assert found(app, EMAIL).email_verified_at is None


@pytest.mark.parametrize("zone", ["+16:00", "-16:00", "+01:00:00.000001"])
def test_a_zone_that_postgresql_does_not_know_is_converted(app: Flask, tmp_path: Path, zone: str) -> None:
    imported(app, tmp_path, {"email": "ada@example.com", "created_at": f"2020-01-02T03:04:05{zone}"})

    assert found(app, "ada").created_at.year == 2020


def test_a_secret_that_cannot_be_encrypted_is_an_error(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, encryption_keys=None)

    (error,) = errors_of(imported(app, tmp_path, {"email": EMAIL, "totp_secret": "A" * 32}))

    assert error.startswith("line 1: totp_secret: AUTHAPP_ENCRYPTION_KEYS is not set")
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_hash_parameters_belong_to_firebase(app: Flask, tmp_path: Path) -> None:
    misused(imported(app, tmp_path, options=("--from", "firebase")))
    (tmp_path / "hash.json").write_text("{}")
    misused(imported(app, tmp_path, options=("--hash-config", str(tmp_path / "hash.json"))))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "base64_signer_key: Missing."),
        ({**FIREBASE_CONFIG, "rounds": "secret"}, "A cost of the hash is not a number."),
        ({**FIREBASE_CONFIG, "rounds": []}, "Not the hash parameters of firebase."),
        ({**FIREBASE_CONFIG, "mem_cost": 40}, "The scrypt hash needs more than 256 MiB."),
        ({**FIREBASE_CONFIG, "base64_signer_key": "&"}, "The password hash is damaged."),
        ([], "Not the hash parameters of firebase."),
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
