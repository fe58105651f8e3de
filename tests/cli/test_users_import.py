"""``flask users import``: accounts of other systems."""

import json
import re
from base64 import b32encode
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import update

from authapp import clock
from authapp.database.session import db, transaction
from authapp.domain.factors.stored_keys import missing_key_ids
from authapp.domain.imports import imports
from authapp.domain.services import Services
from authapp.domain.users import rows
from authapp.domain.users.never_verified import never_verified
from authapp.models import ForeignHashMark, TotpFactor, User
from cli.invoking import flask_users, succeeded
from clocks import Time
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
    compute_no_foreign_hash,
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


def options_of(system: str, folder: Path) -> tuple[str, ...]:
    config = folder / "hash.json"
    config.write_text(json.dumps({"hash_config": FIREBASE_CONFIG}))
    return ("--from", system, *(("--hash-config", str(config)) if system == "firebase" else ()))


def errors_of(result: Result) -> list[str]:
    """Return the errors that the command named, after checking that it failed."""
    assert result.exit_code == 1, result.output
    *lines, last = result.stderr.splitlines()
    assert last == f"Error: {len(lines)} line(s) have errors, and were not imported."
    return lines


def found(app: Flask, name: str) -> User:
    with app.app_context():
        return Services.of(app).accounts.find(name)


@pytest.mark.parametrize("record", RECORDS)
def test_an_account_of_each_system_logs_in_and_is_argon2id_afterwards(
    app: Flask, api: Api, tmp_path: Path, record: str
) -> None:
    system = record.partition(" ")[0]
    result = imported(app, tmp_path, RECORDS[record], options=options_of(system, tmp_path))

    assert succeeded(result).startswith("Imported 1 account(s)")

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
    compute_no_foreign_hash(monkeypatch)
    records = [
        {"email": f"person{number}@example.com", "password_hash": each} for number, each in enumerate(HASHES.values())
    ]

    succeeded(imported(app, tmp_path, *records))


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


def test_usernames_are_made_where_there_are_none(app: Flask, tmp_path: Path) -> None:
    emails = ["grace@example.com", "grace@example.org", "a@example.com", "\u00fc.ber+tag@example.com"]

    succeeded(imported(app, tmp_path, *({"email": email} for email in emails)))

    first, second, third, fourth = (found(app, email).username for email in emails)
    assert (first, third, fourth) == ("grace", "user", "u.ber-tag")
    assert re.fullmatch("grace-[0-9a-f]{8}", second)


def test_a_byte_order_mark_is_no_part_of_the_first_line(app: Flask, tmp_path: Path) -> None:
    succeeded(imported(app, tmp_path, "\ufeff" + json.dumps({"email": EMAIL})))

    assert found(app, EMAIL).username == "grace"


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


def test_an_account_that_comes_back_with_its_id_has_no_sessions_from_before(
    app: Flask, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = a_user(app, "ada")
    token = a_session(app, ada).access_token
    assert api.get("/ping", token).status_code == 200
    monkeypatch.setattr(rows, "DELETED_AT_ONCE", 0)  # as of an account with very many sessions
    succeeded(flask_users(app, "delete", "ada", "--yes"))

    # The account is older than the session.
    record = {"id": str(ada.id), "email": EMAIL, "created_at": "2020-01-02T03:04:05Z"}
    succeeded(imported(app, tmp_path, record))

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


def test_a_dry_run_finds_the_errors_and_stores_nothing(app: Flask, tmp_path: Path) -> None:
    result = imported(app, tmp_path, {"email": EMAIL}, {}, options=("--dry-run",))

    assert errors_of(result) == ["line 2: email: Missing."]
    assert result.stdout.startswith("Would import 1 account(s), skipped 0, to line 2.\n")
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_an_import_that_stopped_goes_on_after_the_last_batch(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)
    records = [{"email": f"person{number}@example.com"} for number in range(1, 6)]
    insert = imports.insert_accounts

    def fails_at_the_second(accounts: Any, context: Any) -> Any:
        if accounts[0].email == "person3@example.com":
            raise KeyboardInterrupt
        return insert(accounts, context)

    with monkeypatch.context() as stopped:
        stopped.setattr(imports, "insert_accounts", fails_at_the_second)
        result = imported(app, tmp_path, *records)
    assert result.exit_code == 1
    assert result.stderr.startswith("Stopped. Go on with: --after 2 --on-conflict skip\n")

    rest = imported(app, tmp_path, *records, options=("--after", "2"))
    assert succeeded(rest).startswith("Imported 3 account(s), skipped 0, to line 5.\n")


def test_an_unverified_account_that_was_imported_is_never_pruned(app: Flask, tmp_path: Path) -> None:
    succeeded(imported(app, tmp_path, {"email": EMAIL, "created_at": "2020-01-02T03:04:05Z"}))

    with app.app_context():
        with transaction():
            db.session.execute(update(User).values(updated_at=User.created_at))
        (rows,) = never_verified(30)
        assert rows.delete_rows(rows.condition(clock.now())) == 0
