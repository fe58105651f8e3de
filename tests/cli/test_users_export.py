"""``flask users export``: accounts in the form of an import."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from authapp.database.session import transaction
from authapp.domain import account_exports
from authapp.domain.audit import EventType
from authapp.domain.factors.totp import secret_text
from authapp.models import User
from authapp.security.foreign_hashes import IMPORTED_PREFIX
from cli.invoking import flask_users, refused, succeeded
from factories import Api, a_service, a_session, a_user, all_events, problem
from factors import an_app
from security.foreign import FOREIGN_PASSWORD, HASHES


def test_all_accounts_are_exported_to_a_file_that_only_its_owner_reads(app: Flask, tmp_path: Path) -> None:
    ada, grace = a_user(app, "ada", roles=["admin"]), a_user(app, "grace")
    a_service(app, "backup")
    out = tmp_path / "accounts.jsonl"

    assert (
        succeeded(flask_users(app, "export", "--out", str(out)))
        == f"Exported 2 account(s) to {out}, and left out 1 service account(s).\n"
    )

    assert out.stat().st_mode & 0o777 == 0o600
    first, second = map(json.loads, out.read_text().splitlines())
    assert (first["id"], second["id"]) == (str(ada.id), str(grace.id))
    assert (first["username"], first["email"], first["roles"]) == ("ada", "ada@example.com", ["admin"])
    assert "argon2" not in out.read_text()


def test_an_export_of_accounts_is_recorded_with_what_it_has(app: Flask, tmp_path: Path) -> None:
    ada = a_user(app, "ada")
    a_user(app, "grace")
    a_service(app, "backup")
    succeeded(flask_users(app, "export", "--out", str(tmp_path / "all"), "--with-hashes"))
    succeeded(flask_users(app, "export", "ada", "--out", str(tmp_path / "one"), "--with-secrets"))

    recorded = all_events(app, EventType.ACCOUNTS_EXPORTED)

    assert {(event.subject_id, tuple(sorted(event.details.items()))) for event in recorded} == {
        (None, (("accounts", 2), ("with_hashes", True), ("with_secrets", False))),
        (ada.id, (("accounts", 1), ("with_hashes", False), ("with_secrets", True))),
    }
    assert {event.type for event in recorded} == {"accounts.exported"}


def test_what_was_exported_with_hashes_can_be_imported(app: Flask, api: Api, tmp_path: Path) -> None:
    a_user(app, "ada")
    with app.app_context(), transaction() as session:
        session.execute(update(User).values(password_hash=IMPORTED_PREFIX + HASHES["auth0 bcrypt"]))
    out = str(tmp_path / "ada.jsonl")
    succeeded(flask_users(app, "export", "ada", "--out", out, "--with-hashes"))
    succeeded(flask_users(app, "delete", "ada", "--yes"))

    assert succeeded(flask_users(app, "import", out)).startswith("Imported 1 account(s)")
    assert api.log_in("ada", FOREIGN_PASSWORD).status_code == 200


def test_an_authenticator_app_is_asked_for_at_the_other_side_if_its_secret_came_along(
    app: Flask, api: Api, tmp_path: Path
) -> None:
    user = a_user(app, "ada")
    authenticator = an_app(app, user)
    plain, whole = str(tmp_path / "plain.jsonl"), str(tmp_path / "whole.jsonl")
    succeeded(flask_users(app, "export", "--out", plain, "--with-hashes"))
    succeeded(flask_users(app, "export", "--out", whole, "--with-hashes", "--with-secrets"))
    assert "totp_secret" not in Path(plain).read_text()
    succeeded(flask_users(app, "delete", "ada", "--yes"))

    assert succeeded(flask_users(app, "import", whole)).startswith("Imported 1 account(s)")
    problem(api.log_in("ada"), 401, "second_factor_required")
    assert json.loads(Path(whole).read_text())["totp_secret"] == secret_text(authenticator.secret)


def test_an_app_that_nobody_has_confirmed_is_not_exported(app: Flask, api: Api, tmp_path: Path) -> None:
    pair = a_session(app, a_user(app, "ada"))
    assert api.post("/users/me/totp", {}, pair.access_token).status_code == 201
    out = tmp_path / "ada.jsonl"
    succeeded(flask_users(app, "export", "--out", str(out), "--with-secrets"))
    assert "totp_secret" not in out.read_text()


def test_a_file_that_exists_and_an_account_that_does_not_are_refused(app: Flask, tmp_path: Path) -> None:
    out = tmp_path / "accounts.jsonl"
    refused(flask_users(app, "export", "nobody", "--out", str(out)), "There is no user 'nobody'.")
    a_service(app, "backup")
    refused(flask_users(app, "export", "backup", "--out", str(out)), "A service account cannot be moved")
    assert not out.exists()

    out.write_text("precious")
    refused(flask_users(app, "export", "--out", str(out)), "cannot be made")
    assert out.read_text() == "precious"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")])
def test_an_export_that_fails_leaves_no_file_and_can_be_tried_again(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException] | BaseException
) -> None:
    a_user(app, "ada")
    a_user(app, "grace")
    out = tmp_path / "accounts.jsonl"
    whole = account_exports._import_fields

    def fails_at_the_second(user: User, *arguments: Any, **options: Any) -> object:
        assert [path.name for path in tmp_path.iterdir()] != [out.name], "what is not whole has another name"
        if user.username == "grace":
            raise failure
        return whole(user, *arguments, **options)

    with monkeypatch.context() as failing:
        failing.setattr(account_exports, "_import_fields", fails_at_the_second)
        if isinstance(failure, OSError):
            refused(flask_users(app, "export", "--out", str(out)), f"{out} cannot be written: No space left on device.")
        elif failure is RuntimeError:
            with pytest.raises(RuntimeError):
                flask_users(app, "export", "--out", str(out))
        else:
            assert flask_users(app, "export", "--out", str(out)).exit_code == 1
    assert list(tmp_path.iterdir()) == []

    succeeded(flask_users(app, "export", "--out", str(out)))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_file_that_was_made_during_an_export_is_not_replaced(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_user(app, "ada")
    out = tmp_path / "accounts.jsonl"
    monkeypatch.setattr(account_exports, "_import_fields", lambda *_, **__: {"written": out.write_text("precious")})

    refused(flask_users(app, "export", "--out", str(out)), "cannot be written: File exists.")

    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]
