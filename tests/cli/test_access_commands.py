"""The commands of access: roles, the audit trail, locks, sessions, and the check-up."""

import json
from datetime import timedelta

import pytest
from flask import Flask

from authapp import clock
from authapp.cli.audit import audit
from authapp.cli.doctor import doctor
from authapp.cli.roles import roles
from cli.invoking import data, flask_users, invoke, misused, refused, succeeded
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
    misused(invoke(app, audit, "prune", "--older-than", "soon"))


def findings(app: Flask) -> dict[str, list[str]]:
    result = app.test_cli_runner().invoke(doctor, ["--json"])
    found: dict[str, list[str]] = {}
    for each in json.loads(result.stdout):
        assert each["level"] == "ok" or each["advice"], each
        found.setdefault(each["level"], []).append(each["subject"])
    assert result.exit_code == (1 if "fail" in found else 0)
    return found


def test_the_doctor_looks_at_everything_and_says_what_to_do(app: Flask) -> None:
    text = app.test_cli_runner().invoke(doctor).stdout
    assert all(line.split()[0] in {"ok", "warn", "fail"} for line in text.splitlines() if not line.startswith(" "))
    found = findings(app)
    looked_at = {subject for subjects in found.values() for subject in subjects}
    assert {"settings", "proxies", "signing key", "key", "hashing", "clock", "database", "migrations"} <= looked_at
    assert {"users", "sessions", "token_blocklist", "audit_events"} <= looked_at
    # The tests hash at a cost that production refuses, and there is no administrator.
    assert "hashing" in found["fail"]
    assert "admins" in found["warn"]

    a_user(app, roles=["admin"])
    assert "admins" in findings(app)["ok"]


def test_the_doctor_notices_a_clock_that_is_wrong(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = clock.now() + timedelta(minutes=5)
    monkeypatch.setattr(clock, "now", lambda: wrong)
    assert "clock" in findings(app)["fail"]
