"""``flask users import``: accounts of other systems."""

import json
from base64 import b32encode
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import update

from authapp import clock
from authapp.cli.users_import import MAX_LINE
from authapp.database.session import db, transaction
from authapp.domain.factors.stored_keys import missing_key_ids
from authapp.domain.imports import imports
from authapp.domain.services import Services
from authapp.domain.users import rows
from authapp.domain.users.never_verified import never_verified
from authapp.models import ForeignHashMark, TotpFactor, User
from cli.invoking import flask_users, misused, refused, succeeded
from clocks import Time
from conftest import reconfigured
from factories import Api, a_session, a_user, events_of, problem
from factors import AuthenticatorApp, challenge_of, second_step
from security.foreign import (
    FIREBASE,
    FOREIGN_PASSWORD,
    HASHES,
    KEYCLOAK_ARGON2,
    KEYCLOAK_ARGON2_SALT,
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
KEYCLOAK_ARGON2_PASSWORD = {
    "type": "password",
    "secretData": json.dumps({"value": KEYCLOAK_ARGON2, "salt": KEYCLOAK_ARGON2_SALT, "additionalParameters": {}}),
    "credentialData": json.dumps(
        {
            "hashIterations": 5,
            "algorithm": "argon2",
            "additionalParameters": {
                "hashLength": ["32"],
                "memory": ["7168"],
                "type": ["id"],
                "version": ["1.3"],
                "parallelism": ["1"],
            },
        }
    ),
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
    "keycloak argon2": {
        "username": "grace",
        "email": EMAIL,
        "emailVerified": True,
        "createdTimestamp": 1577934245000,
        "credentials": [{"type": "otp"}, KEYCLOAK_ARGON2_PASSWORD],
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


@pytest.mark.parametrize("record", RECORDS)
def test_an_account_of_each_system_logs_in_and_is_argon2id_afterwards(
    app: Flask, api: Api, tmp_path: Path, record: str
) -> None:
    system = record.partition(" ")[0]
    options: tuple[str, ...] = ("--from", system)
    if system == "firebase":
        (tmp_path / "hash.json").write_text(json.dumps({"hash_config": FIREBASE_CONFIG}))
        options += ("--hash-config", str(tmp_path / "hash.json"))

    assert succeeded(imported(app, tmp_path, RECORDS[record], options=options)).startswith("Imported 1 account(s)")

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


@pytest.mark.parametrize(
    ("system", "fields", "status"),
    [
        ("supabase", {"banned_until": "2020-01-02T03:04:05+00:00"}, "active"),
        ("supabase", {"banned_until": "2999-01-02T03:04:05+00:00"}, "disabled"),
        ("better-auth", {"banned": True, "banExpires": "2020-01-02T03:04:05.000Z"}, "active"),
        ("better-auth", {"banned": True, "banExpires": "2999-01-02T03:04:05.000Z"}, "disabled"),
        ("better-auth", {"banned": True, "banExpires": None}, "disabled"),
        ("better-auth", {"banned": False, "banExpires": "2999-01-02T03:04:05.000Z"}, "active"),
    ],
)
def test_a_ban_that_has_ended_disables_nobody(
    app: Flask, tmp_path: Path, system: str, fields: dict[str, Any], status: str
) -> None:
    succeeded(imported(app, tmp_path, {**RECORDS[system], **fields}, options=("--from", system)))

    assert found(app, EMAIL).status == status


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


def test_an_imported_authenticator_app_is_asked_for_and_stored_encrypted(
    app: Flask, api: Api, tmp_path: Path, time: Time
) -> None:
    phone = AuthenticatorApp(b"twenty random bytes.")
    secret = " ".join(wrap(b32encode(phone.secret).decode().lower(), 4))
    succeeded(imported(app, tmp_path, {"email": EMAIL, "password_hash": BCRYPT, "totp_secret": secret}))

    user = found(app, EMAIL)
    assert [event.details for event in events_of(app, user, "factor.added")] == [{"factor": "totp"}]
    with app.app_context():
        factor = db.session.get_one(TotpFactor, user.id)
        assert phone.secret not in factor.secret
        assert factor.key_id in missing_key_ids(None), "the key is among those that are needed"
        assert factor.confirmed_at is not None
    challenge = challenge_of(api, user, FOREIGN_PASSWORD)
    problem(second_step(api, challenge, phone.code()), 401, "second_factor_invalid")  # it is from before the import
    time.passes(seconds=30)
    assert second_step(api, challenge, phone.code()).status_code == 200


def test_a_secret_that_cannot_be_encrypted_is_a_fault(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, encryption_keys=None)

    (fault,) = faults(imported(app, tmp_path, {"email": EMAIL, "totp_secret": "A" * 32}))

    assert fault.startswith("line 1: totp_secret: AUTHAPP_ENCRYPTION_KEYS is not set")
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_an_account_that_comes_back_with_its_id_has_no_sessions_from_before(
    app: Flask, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = a_user(app, "ada")
    token = a_session(app, ada).access_token
    assert api.get("/ping", token).status_code == 200
    monkeypatch.setattr(rows, "DELETED_AT_ONCE", 0)  # as of an account with very many sessions
    succeeded(flask_users(app, "delete", "ada", "--yes"))

    succeeded(imported(app, tmp_path, {"id": str(ada.id), "email": EMAIL}))

    problem(api.get("/ping", token), 401, "token_revoked")


def test_the_mark_of_foreign_hashes_is_set_by_them_alone(app: Flask, tmp_path: Path) -> None:
    def is_marked() -> bool:
        with app.app_context():
            return db.session.query(ForeignHashMark).count() == 1

    succeeded(imported(app, tmp_path, {"email": "ada@example.com"}))
    assert not is_marked()
    succeeded(imported(app, tmp_path, {"email": EMAIL, "password_hash": BCRYPT}))
    assert is_marked()
    succeeded(imported(app, tmp_path, {"email": "joan@example.com", "password_hash": BCRYPT}))
    assert is_marked()


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
    insert = imports._insert_accounts

    def fails_at_the_second(accounts: Any, context: Any) -> Any:
        if accounts[0].email == "person3@example.com":
            raise KeyboardInterrupt
        return insert(accounts, context)

    with monkeypatch.context() as stopped:
        stopped.setattr(imports, "_insert_accounts", fails_at_the_second)
        result = imported(app, tmp_path, *records)
    assert result.exit_code == 1
    assert result.stderr.startswith("Stopped. Go on with: --after 2\n")

    rest = imported(app, tmp_path, *records, options=("--after", "2"))
    assert succeeded(rest) == "Imported 3 account(s), skipped 0, to line 5.\n"


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


def test_an_unverified_account_that_was_imported_is_never_pruned(app: Flask, tmp_path: Path) -> None:
    succeeded(imported(app, tmp_path, {"email": EMAIL, "created_at": "2020-01-02T03:04:05Z"}))

    with app.app_context():
        with transaction():
            db.session.execute(update(User).values(updated_at=User.created_at))
        (rows,) = never_verified(30)
        assert rows.delete_rows(rows.condition(clock.now())) == 0
