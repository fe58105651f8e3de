"""The commands of access: roles, the audit trail, locks, sessions, and the check-up."""

import json
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from authapp import clock
from authapp.cli.audit import audit
from authapp.cli.checks import CheckLevel, CheckResult, database, tables
from authapp.cli.doctor import doctor
from authapp.cli.roles import roles
from authapp.config import RateLimit
from authapp.database.session import db
from authapp.domain.rate_limits import RateLimits
from authapp.domain.services import Services
from authapp.security.key_rotation import new_key
from authapp.security.keys import KeyRing
from cli.invoking import data, flask_users, invoke, misused, refused, succeeded
from clocks import set_clocks
from conftest import reconfigured
from factories import Api, a_session, a_user, problem


def test_roles_are_made_listed_given_and_deleted(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app, "ada")).access_token
    made = succeeded(invoke(app, roles, "create", "support", "--permission", "users:read", "--description", "Phones."))
    assert made == "Created the role support: users:read.\n"
    assert [role["name"] for role in data(invoke(app, roles, "list", "--json"))] == ["admin", "support"]
    problem(api.get("/users", token), 403, "permission_denied")

    succeeded(flask_users(app, "grant", "ada", "support"))
    assert api.get("/users", token).status_code == 200
    succeeded(invoke(app, roles, "delete", "support", "--yes"))
    problem(api.get("/users", token), 403, "permission_denied")


def test_a_role_that_cannot_be_is_refused_in_one_line(app: Flask) -> None:
    for arguments in (["create", "admin"], ["create", "x", "--permission", "users:eat"], ["delete", "admin", "--yes"]):
        refused(invoke(app, roles, *arguments))
    refused(flask_users(app, "grant", a_user(app).username, "nobody"), "There is no such role.")


@pytest.mark.parametrize("description", ["x" * 201, "Phones.\nadmin  users:write", "\x1b[2J", "\0", "\x85", "a\u2028b"])
def test_a_description_that_could_forge_a_line_or_fill_the_screen_is_refused(app: Flask, description: str) -> None:
    made = invoke(app, roles, "create", "support", "--description", description)
    refused(made, "description: Must be one line of at most 200 characters")
    assert [role["name"] for role in data(invoke(app, roles, "list", "--json"))] == ["admin"]


def test_sessions_are_ended_from_the_command_line(app: Flask, api: Api) -> None:
    user = a_user(app, "ada")
    token = a_session(app, user).access_token
    assert succeeded(flask_users(app, "logout", "ada")) == "Ended 1 session(s) of ada.\n"
    problem(api.get("/ping", token), 401, "token_revoked")
    assert api.log_in("ada").status_code == 200


def test_the_trail_is_listed_and_pruned(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        past = clock.now() - timedelta(days=100)
        patch.setattr(clock, "now", lambda: past)
        a_user(app, "grace")
    succeeded(flask_users(app, "disable", a_user(app, "ada").username))

    listed = data(invoke(app, audit, "list", "--user", "ada", "--json"))
    assert [event["type"] for event in listed] == ["user.disabled", "user.created"]
    assert "user.created" in succeeded(invoke(app, audit, "list", "--type", "user.created", "--limit", "1"))
    assert succeeded(invoke(app, audit, "prune", "--older-than", "90d")) == "Removed 1 events.\n"
    assert data(invoke(app, audit, "list", "--user", "grace", "--json")) == []
    misused(invoke(app, audit, "prune"))
    misused(invoke(app, audit, "prune", "--older-than", "90d", "--type", "login.refusd"))
    misused(invoke(app, audit, "prune", "--older-than", "soon"))


def test_the_trail_of_a_deleted_account_is_found_by_its_id(app: Flask) -> None:
    user = a_user(app, "ada")
    succeeded(flask_users(app, "delete", "ada", "--yes"))

    for name in (str(user.id), str(user.id).upper()):
        listed = data(invoke(app, audit, "list", "--user", name, "--json"))
        assert [event["type"] for event in listed] == ["user.deleted", "user.created"]
    assert data(invoke(app, audit, "list", "--user", "00000000-0000-0000-0000-000000000000", "--json")) == []
    for name in ("ada", ""):
        refused(invoke(app, audit, "list", "--user", name), f"There is no user {name!r}.")


def test_a_username_that_could_be_an_id_without_hyphens_is_a_username(app: Flask) -> None:
    user = a_user(app, "0" * 32)
    (event,) = data(invoke(app, audit, "list", "--user", user.username, "--json"))
    assert event["subject_id"] == str(user.id)


@pytest.mark.parametrize("none", ["0d", "0h", "0m", "000d"])
def test_no_length_of_time_is_refused_for_it_would_mean_the_whole_trail(app: Flask, none: str) -> None:
    misused(invoke(app, audit, "prune", "--older-than", none))
    misused(invoke(app, audit, "list", "--since", none))


def results(app: Flask) -> dict[str, list[str]]:
    result = app.test_cli_runner().invoke(doctor, ["--json"])
    found: dict[str, list[str]] = {}
    for each in json.loads(result.stdout):
        assert each["level"] == "ok" or each["advice"], each
        found.setdefault(each["level"], []).append(each["subject"])
    assert result.exit_code == (1 if "fail" in found else 0)
    return found


def test_the_doctor_looks_at_everything_and_says_what_to_do(app: Flask) -> None:
    shown = app.test_cli_runner().invoke(doctor).stdout
    assert all(line.split()[0] in {"ok", "warn", "fail"} for line in shown.splitlines() if not line.startswith(" "))
    found = results(app)
    looked_at = {subject for subjects in found.values() for subject in subjects}
    assert {"settings", "proxies", "signing key", "key", "hashing", "clock", "database", "migrations"} <= looked_at
    assert {"users", "sessions", "token_blocklist", "audit_events", "login_throttles", "address_limits"} <= looked_at
    # The tests hash at a cost that production refuses, and there is no administrator.
    assert "hashing" in found["fail"]
    assert "admins" in found["warn"]

    a_user(app, roles=["admin"])
    assert "admins" in results(app)["ok"]


def test_the_doctor_notices_time_limits_that_a_pooler_has_dropped(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("SET LOCAL lock_timeout = 0"))
        db.session.execute(text("SET LOCAL synchronous_commit = on"))
        db.session.commit()
    assert "session settings: lock_timeout is off." in app.test_cli_runner().invoke(doctor).stdout
    with app.app_context():
        db.session.execute(text("SET LOCAL lock_timeout = '2s'"))
        db.session.commit()
    assert "session settings" in results(app)["ok"]


def test_the_doctor_notices_a_commit_that_is_not_certain_and_a_server_that_is_old(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authapp.cli.checks.database.OLDEST_MAJOR", 99)
    with app.app_context():
        db.session.execute(text("SET LOCAL synchronous_commit = off"))
        db.session.commit()
    shown = app.test_cli_runner().invoke(doctor).stdout
    assert "session settings: synchronous_commit is off." in shown
    assert "Upgrade it: PostgreSQL 99 is the oldest" in shown


def test_the_doctor_notices_a_commit_that_waits_for_no_standby(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("SET LOCAL synchronous_commit = local"))
        db.session.commit()
    assert "session settings: synchronous_commit is local" in app.test_cli_runner().invoke(doctor).stdout


def test_the_doctor_knows_the_version_of_a_server_that_is_a_beta(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    beta = SimpleNamespace(server_version="19beta1", server_version_num="190000")
    monkeypatch.setattr("authapp.cli.checks.database.read_one", lambda _statement: beta)
    with app.app_context():
        assert database.version(Services.of(app)) == CheckResult(
            CheckLevel.OK, "PostgreSQL", "The server is PostgreSQL 19beta1."
        )


def test_the_doctor_notices_a_clock_that_is_wrong(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = clock.now() + timedelta(minutes=5)
    monkeypatch.setattr(clock, "now", lambda: wrong)
    assert "clock" in results(app)["fail"]


def test_the_doctor_notices_a_key_that_is_old_or_shared(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    old = int((clock.now() - timedelta(days=400)).timestamp())
    for key, subject in [(new_key("ES256", old), "signing key"), (new_key("HS256", old + 300 * 86_400), "key")]:
        ring = KeyRing([key]).to_json()
        reconfigured(app, monkeypatch, jwt_keys=ring)
        found = results(app)
        assert subject in found["warn"]
        assert {"signing key", "key"} - {subject} <= set(found["ok"])


def test_the_doctor_notices_rows_that_nobody_prunes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PRUNABLE_ROWS", 1)
    a_session(app, a_user(app))
    assert "sessions" in results(app)["ok"]
    later = clock.now() + timedelta(days=365)
    set_clocks(monkeypatch, lambda: later)
    assert "sessions" in results(app)["warn"]


def test_the_doctor_notices_addresses_that_nobody_prunes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PRUNABLE_ROWS", 1)
    with app.app_context():
        RateLimits({"login": RateLimit(10, 60)}.get, Services.of(app).fast_path).charge("login", "192.0.2.1")
    assert "address_limits" in results(app)["ok"]
    later = clock.now() + timedelta(hours=1)
    set_clocks(monkeypatch, lambda: later)
    assert "address_limits" in results(app)["warn"]


def test_the_doctor_notices_a_trail_that_nobody_prunes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        a_user(app)
    with app.app_context():
        db.session.execute(text("ANALYZE audit_events"))
        db.session.commit()
    monkeypatch.setattr(tables, "AUDIT_ROWS", 3)
    assert "audit_events" in results(app)["ok"]
    monkeypatch.setattr(tables, "AUDIT_ROWS", 2)
    assert "audit_events" in results(app)["warn"]
    assert "flask audit prune --older-than" in app.test_cli_runner().invoke(doctor).stdout


def test_the_doctor_counts_the_rows_that_are_there(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(subject: str) -> str:
        lines = app.test_cli_runner().invoke(doctor).stdout.splitlines()
        return next(line for line in lines if f"  {subject}: " in line).partition(": ")[2]

    assert said("users").startswith("0 rows, ")
    a_user(app)
    assert said("users").startswith("1 row, ")
    a_session(app, a_user(app))
    assert said("users").startswith("2 rows, ")
    assert re.fullmatch(r"1 row, \d+ kB, 0 of them prunable\.", said("sessions"))

    monkeypatch.setattr(tables, "COUNTED_ROWS", 1)
    with app.app_context():
        # As if it had never been analysed: the figure of PostgreSQL says nothing then.
        db.session.execute(text("UPDATE pg_class SET reltuples = -1 WHERE oid = to_regclass('users')"))
        db.session.commit()
        assert said("users").startswith("more than 1 rows, ")
        db.session.execute(text("ANALYZE users"))
        db.session.commit()
    assert said("users").startswith("about 2 rows, ")


def test_the_doctor_bears_with_a_key_that_does_not_say_how_old_it_is(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = json.loads(KeyRing([new_key("ES256", 0)]).to_json())["keys"]
    ring = json.dumps({"keys": [{name: value for name, value in key.items() if name != "iat"}]})
    reconfigured(app, monkeypatch, jwt_keys=ring)
    assert "signing key" in results(app)["ok"]


def test_the_doctor_notices_a_migration_that_is_pending(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        db.session.commit()
    found = results(app)
    assert "migrations" in found["fail"]
    assert "users" not in found["ok"]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"issuer": "https://a.example", "trusted_proxies": 0}, "warn"),
        ({"issuer": "https://a.example", "trusted_proxies": 1}, "ok"),
        ({"issuer": "http://a.example", "trusted_proxies": 1}, "warn"),
    ],
)
def test_the_doctor_looks_at_the_proxies(
    app: Flask, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], level: str
) -> None:
    reconfigured(app, monkeypatch, **changes)
    assert "proxies" in results(app)[level]
