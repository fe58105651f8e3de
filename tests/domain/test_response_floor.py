"""While any foreign hash is left, a refused login takes as long whatever hash was computed for it."""

import time as clock
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, text, update

from authapp import clock as authapp_clock
from authapp.cli.checks import foreign_hashes
from authapp.cli.checks.result import CheckLevel
from authapp.database.session import db, transaction
from authapp.domain.passwords import verifier
from authapp.domain.services import Services
from authapp.models import ForeignHashMark, User
from authapp.security.foreign_hashes import IMPORTED_PREFIX
from clocks import set_clocks
from conftest import reconfigured
from factories import PASSWORD, Api, a_user, problem
from security.foreign import FOREIGN_PASSWORD, HASHES

FLOOR = 0.3


@pytest.fixture(autouse=True)
def floor(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, login_floor_ms=FLOOR * 1000)


def brought(app: Flask, username: str, stored: str) -> User:
    """Return an account with this hash, as an import stores it."""
    user = a_user(app, username)
    with app.app_context(), transaction() as session:
        session.execute(ForeignHashMark.set_statement())
        session.execute(update(User).where(User.id == user.id).values(password_hash=stored))
    return user


def pruned_marks(app: Flask, monkeypatch: pytest.MonkeyPatch, age: timedelta = timedelta(minutes=11)) -> int:
    """Prune when the mark is so old; return how many marks went."""
    now = authapp_clock.now() + age
    set_clocks(monkeypatch, lambda: now)
    with app.app_context():
        return Services.of(app).pruning.prune()["foreign_hash_marks"]


def seconds_of_refusal(api: Api, name: str) -> float:
    start = clock.perf_counter()
    problem(api.log_in(name, "not the password"), 401, "invalid_credentials")
    return clock.perf_counter() - start


def test_without_foreign_hashes_a_refused_login_is_answered_at_once(app: Flask, api: Api) -> None:
    a_user(app, "ada")

    assert seconds_of_refusal(api, "ada") < FLOOR


@pytest.mark.parametrize(
    "left",
    [
        IMPORTED_PREFIX + HASHES["passlib ldap_salted_sha1"],
        IMPORTED_PREFIX + HASHES["laravel argon2id"],
        HASHES["auth0 bcrypt"],
    ],
)
def test_while_a_foreign_hash_is_left_every_refused_login_takes_the_floor(app: Flask, api: Api, left: str) -> None:
    a_user(app, "ada")
    brought(app, "grace", left)

    for name in ("ada", "grace", "nobody", "grace@example.com"):
        assert seconds_of_refusal(api, name) >= FLOOR


def test_when_no_foreign_hash_is_left_pruning_ends_the_floor(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = brought(app, "grace", IMPORTED_PREFIX + HASHES["passlib ldap_salted_sha1"])
    assert pruned_marks(app, monkeypatch) == 0
    assert seconds_of_refusal(api, "grace") >= FLOOR

    assert api.log_in("grace", FOREIGN_PASSWORD).status_code == 200

    with app.app_context():
        stored = db.session.get_one(User, grace.id).password_hash
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert seconds_of_refusal(api, "grace") >= FLOOR
    assert pruned_marks(app, monkeypatch) == 1
    assert seconds_of_refusal(api, "grace") < FLOOR


def test_a_mark_that_was_just_set_is_not_pruned(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its import may commit between the look at the accounts and the lock on the mark.
    with app.app_context(), transaction() as session:
        session.execute(ForeignHashMark.set_statement())

    assert pruned_marks(app, monkeypatch, timedelta(minutes=9)) == 0
    assert pruned_marks(app, monkeypatch) == 1


@pytest.mark.committed
def test_the_mark_of_an_import_that_is_running_is_not_pruned(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context(), transaction() as session:
        session.execute(ForeignHashMark.set_statement())
    with app.app_context(), db.engine.begin() as importing:
        importing.execute(ForeignHashMark.set_statement())

        assert pruned_marks(app, monkeypatch) == 0
    assert pruned_marks(app, monkeypatch) == 1


def test_a_login_reads_the_mark_and_no_other_account(app: Flask) -> None:
    statement = verifier._BY_USERNAME.text
    assert "foreign_hash_marks" in statement
    assert "starts_with" not in statement


def test_a_right_password_is_answered_at_once(app: Flask, api: Api) -> None:
    a_user(app, "ada")
    brought(app, "grace", IMPORTED_PREFIX + HASHES["auth0 bcrypt"])
    start = clock.perf_counter()

    assert api.log_in("ada", PASSWORD).status_code == 200
    assert clock.perf_counter() - start < FLOOR


def test_pruning_asks_an_index(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        question = "SELECT FROM users WHERE NOT starts_with(password_hash, '$argon2id$')"
        plan = "\n".join(db.session.scalars(text(f"EXPLAIN {question}")))
    assert "ix_users_foreign_hash" in plan


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, "ok: Every password hash is argon2id."),
        (IMPORTED_PREFIX + HASHES["passlib ldap_salted_sha1"], "ok: Some are left, so refused logins take 10 ms."),
        (IMPORTED_PREFIX + HASHES["laravel bcrypt"], "warn: Some are left. One takes "),
    ],
    ids=["none", "fast", "slow"],
)
def test_doctor_measures_whether_the_floor_is_high_enough(
    app: Flask, monkeypatch: pytest.MonkeyPatch, stored: str | None, expected: str
) -> None:
    reconfigured(app, monkeypatch, login_floor_ms=10)
    if stored:
        brought(app, "grace", stored)

    with app.app_context():
        result = foreign_hashes.floor(Services.of(app))

    assert f"{result.level}: {result.sentence}".startswith(expected)


@pytest.mark.parametrize("order", [1, -1], ids=["dear first", "dear last"])
def test_doctor_measures_the_costliest_of_one_format(app: Flask, monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    # Django has raised its iterations with each version, and hashes anew at a login.
    reconfigured(app, monkeypatch, login_floor_ms=100)
    dear = IMPORTED_PREFIX + HASHES["django pbkdf2_sha256"]
    for number, stored in enumerate([dear, dear.replace("$1000000$", "$1$")][::order]):
        brought(app, f"grace{number}", stored)

    with app.app_context():
        assert foreign_hashes.floor(Services.of(app)).level == CheckLevel.WARN


def test_doctor_measures_the_most_memory_and_the_most_passes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    argon2 = f"argon2$argon2id$v=19$m={{}},t={{}},p=1$c2FsdHNhbHQ${'A' * 43}"
    most_memory, most_passes = argon2.format(2048, 1), argon2.format(1024, 64)
    measured = []
    monkeypatch.setattr(foreign_hashes, "_milliseconds", lambda stored: measured.append(stored) or 0)
    for number, stored in enumerate([most_memory, most_passes, *(argon2.format(1025 + each, 1) for each in range(4))]):
        brought(app, f"grace{number}", IMPORTED_PREFIX + stored)

    with app.app_context():
        foreign_hashes.floor(Services.of(app))

    assert {*measured} == {most_memory, most_passes}


def test_doctor_warns_of_hashes_that_no_login_can_verify(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, login_floor_ms=10_000)
    brought(app, "ada", HASHES["auth0 bcrypt"])
    with app.app_context():
        assert foreign_hashes.readable(Services.of(app)).level == CheckLevel.OK

    for number, stored in enumerate([HASHES["auth0 bcrypt"].replace("$10$", "$15$"), "md5$salt$aa", "imported$"]):
        brought(app, f"grace{number}", stored)

    with app.app_context():
        result = foreign_hashes.readable(Services.of(app))
        assert foreign_hashes.floor(Services.of(app)).level == CheckLevel.OK
    assert (result.level, result.sentence[:24]) == (CheckLevel.WARN, "3 cannot be verified: no")


def test_doctor_finds_foreign_hashes_of_which_logins_do_not_know(app: Flask) -> None:
    brought(app, "grace", HASHES["auth0 bcrypt"])
    with app.app_context(), transaction() as session:
        session.execute(delete(ForeignHashMark))

        result = foreign_hashes.floor(Services.of(app))

        assert (result.level, "not marked" in result.sentence) == (CheckLevel.WARN, True)
        session.execute(text(result.advice.removeprefix("Run ").removesuffix(".")))
        assert "not marked" not in foreign_hashes.floor(Services.of(app)).sentence
