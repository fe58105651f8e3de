"""Keys that nodes of the previous version write after the migration: they are found, and written anew."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from authapp.cli.doctor import doctor
from authapp.context import OPERATOR
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import AuditEvent, User
from cli.invoking import data, flask_users, succeeded
from factories import PASSWORD, Api, a_user, problem


def by_a_node_of_the_previous_version(app: Flask, name: str, email: str) -> UUID:
    """Create an account as the version before did, which case-folded names."""
    user_id: UUID = a_user(app, name, email=f"{name}@elsewhere.example").id
    set_names(app, user_id, email=email, email_key=email.casefold())
    return user_id


def set_names(app: Flask, user_id: UUID, **columns: Any) -> None:
    with app.app_context():
        db.session.execute(update(User.__table__).where(User.id == user_id).values(**columns))
        db.session.commit()


def check(app: Flask) -> str:
    (line,) = [each for each in app.test_cli_runner().invoke(doctor).stdout.splitlines() if "  names: " in each]
    return line


def events(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_an_account_that_cannot_be_found_by_its_address_is_repaired(app: Flask, api: Api) -> None:
    a_user(app, "ada")
    a_user(app, "erik", email="x@m\u00fcnchen.de")
    user_id = by_a_node_of_the_previous_version(app, "bob", "gro\u00df@example.com")
    problem(api.log_in("gro\u00df@example.com"), 401, "invalid_credentials")
    assert check(app) == "warn  names: 1 of the newest accounts cannot log in by one of their names."
    assert "flask users repair-keys" in app.test_cli_runner().invoke(doctor).stdout

    assert data(flask_users(app, "repair-keys", "--json")) == {"repaired": [str(user_id)], "clashes": []}

    assert api.log_in("Gro\u00df@Example.com").status_code == 200
    problem(api.log_in("gross@example.com"), 401, "invalid_credentials")
    assert check(app) == "ok    names: The newest accounts are found by their names."
    before = events(app)
    assert succeeded(flask_users(app, "repair-keys")) == "Repaired 0 account(s).\n"
    assert events(app) == before, "what is right is left alone"


def test_a_clash_is_reported_and_the_others_are_repaired(app: Flask, api: Api) -> None:
    a_user(app, "ada", email="gro\u00df@example.com")
    clash = by_a_node_of_the_previous_version(app, "bob", "gro\u00df@example.com")
    good = by_a_node_of_the_previous_version(app, "carol", "fu\u00df@example.com")
    result = flask_users(app, "repair-keys")
    assert (result.exit_code, result.stdout) == (1, "Repaired 1 account(s).\n")
    assert f"1 account(s) have the name of another account: {clash}." in result.stderr
    assert str(good) not in result.stderr
    assert api.log_in("fu\u00df@example.com").status_code == 200
    with app.app_context():
        Services.of(app).administration.delete(clash, OPERATOR)
    assert succeeded(flask_users(app, "repair-keys")) == "Repaired 0 account(s).\n"


def test_a_key_is_handed_on_by_an_account_that_gives_it_up(app: Flask, api: Api) -> None:
    # The newest account is looked at first, and the oldest has what it needs.
    emails = ["\u00df@m\u00fcnchen.de", "ss@xn--mnchen-3ya.de"]
    for name, email in zip(("ada", "bob"), emails, strict=True):
        by_a_node_of_the_previous_version(app, name, email)
    assert succeeded(flask_users(app, "repair-keys")) == "Repaired 2 account(s).\n"
    for name, email in zip(("ada", "bob"), emails, strict=True):
        assert api.log_in(email, PASSWORD).status_code == 200, name


def test_accounts_are_looked_at_batch_by_batch(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.domain.users.name_keys.BATCH", 2)
    ids = [by_a_node_of_the_previous_version(app, f"user-{n}", f"{n}\u00df@example.com") for n in range(5)]
    with app.app_context():
        name_keys = Services.of(app).name_keys
        assert list(name_keys.outdated(batches=1)) == [ids[4], ids[3]]
        assert list(name_keys.outdated(batches=2)) == [ids[4], ids[3], ids[2], ids[1]]
        assert list(name_keys.outdated()) == ids[::-1]
