import re
from uuid import UUID

import pytest
from flask import Flask

from authapp import clock
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.errors import InvalidCredentials
from authapp.models import Session, User
from cli.invoking import data, flask_users, misused, refused, succeeded
from factories import GUEST, PASSWORD, Api, a_session, a_user

ANOTHER = "another good pass phrase"


def opens(app: Flask, username: str, password: str) -> bool:
    with app.app_context():
        try:
            Services.of(app).password_verifier.verify(username, password, GUEST, release=False)
        except InvalidCredentials:
            return False
        return True


def open_sessions(app: Flask, user: User) -> int:
    with app.app_context():
        sessions = db.session.query(Session).filter_by(user_id=user.id, ended_at=None)
        return sessions.count()


def test_a_user_is_created_with_a_password_from_standard_input(app: Flask) -> None:
    result = flask_users(app, "create", "Grace", "grace@example.com", "--password-stdin", stdin=PASSWORD + "\n")

    assert re.fullmatch(r"Created Grace <grace@example\.com> with id [0-9a-f-]{36}\.\n", succeeded(result))
    assert opens(app, "grace", PASSWORD)
    assert PASSWORD not in result.output


def test_a_user_is_created_with_a_password_that_is_typed_twice(app: Flask) -> None:
    result = flask_users(app, "create", "grace", "grace@example.com", stdin=f"{PASSWORD}\n{PASSWORD}\n")

    assert "Created grace" in succeeded(result)
    assert PASSWORD not in result.output
    assert opens(app, "grace", PASSWORD)


def test_two_passwords_that_differ_are_asked_for_again(app: Flask) -> None:
    typed = f"{PASSWORD}\n{ANOTHER}\n{ANOTHER}\n{ANOTHER}\n"
    result = flask_users(app, "create", "grace", "grace@example.com", stdin=typed)

    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert ANOTHER not in result.output
    assert opens(app, "grace", ANOTHER)


def test_whoever_does_not_type_a_password_creates_nobody(app: Flask) -> None:
    result = flask_users(app, "create", "grace", "grace@example.com", stdin="")

    assert result.exit_code == 1
    refused(flask_users(app, "show", "grace"), "There is nothing here.")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_newline_at_the_end_is_no_part_of_the_password(app: Flask, end: str) -> None:
    succeeded(flask_users(app, "create", "grace", "g@example.com", "--password-stdin", stdin=PASSWORD + end))

    assert opens(app, "grace", PASSWORD)


@pytest.mark.parametrize(
    "password", [f"{PASSWORD}\n", f" {PASSWORD} ", f"{PASSWORD}\t", f"one\n{PASSWORD}", f"\n{PASSWORD}"]
)
def test_all_the_rest_is_part_of_the_password(app: Flask, password: str) -> None:
    succeeded(flask_users(app, "create", "grace", "g@example.com", "--password-stdin", stdin=password + "\n"))

    assert opens(app, "grace", password)
    assert not opens(app, "grace", PASSWORD)


def test_a_password_is_utf_8(app: Flask) -> None:
    password = "\u043f\u0430\u0440\u043e\u043b\u044c\u0438\u0449\u0435"
    succeeded(flask_users(app, "create", "grace", "g@example.com", "--password-stdin", stdin=password.encode()))
    assert opens(app, "grace", password)

    result = flask_users(app, "create", "ada", "a@example.com", "--password-stdin", stdin=password.encode("utf-16"))
    refused(result, "UTF-8")


def test_a_created_user_is_printed_as_json(app: Flask) -> None:
    result = flask_users(app, "create", "Grace", "Grace@Example.com", "--password-stdin", "--json", stdin=PASSWORD)

    printed = data(result)
    assert set(printed) == {
        *("id", "kind", "username", "email", "email_verified_at", "status", "roles"),
        *("created_at", "updated_at", "last_login_at"),
    }
    assert (printed["username"], printed["email"], printed["status"]) == ("Grace", "Grace@example.com", "active")
    assert (printed["roles"], printed["last_login_at"]) == ([], None)
    assert UUID(printed["id"]).version == 7
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", printed["created_at"])
    assert data(flask_users(app, "show", "grace", "--json")) == printed


@pytest.mark.parametrize(
    ("username", "email", "password", "words"),
    [
        ("grace", "other@example.com", PASSWORD, ["username is taken"]),
        ("GRACE", "other@example.com", PASSWORD, ["username is taken"]),
        ("other", "Grace@Example.com", PASSWORD, ["email address is taken"]),
        ("ad", "ada@example.com", PASSWORD, ["username: Must be 3 to 32"]),
        ("ada lovelace", "ada@example.com", PASSWORD, ["username: "]),
        ("ada\nlovelace", "ada\n@example.com", PASSWORD, ["username: ", "email: "]),
        ("ada", "example.com", PASSWORD, ["email: Not a valid email address."]),
        ("ada", "ada@example.com", "short", ["password: ", "fewer than 8"]),
        ("ada", "ada@example.com", "", ["password: "]),
        ("ada", "ada@example.com", "password", ["common"]),
        ("lovelace", "ada@example.com", "lovelace 1815", ["username"]),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_one_line(
    app: Flask, username: str, email: str, password: str, words: list[str]
) -> None:
    a_user(app, "grace", email="grace@example.com")

    result = flask_users(app, "create", username, email, "--password-stdin", stdin=password)

    refused(result, *words)
    assert len(data(flask_users(app, "list", "--json"))) == 1


def test_the_users_are_listed_oldest_first(app: Flask) -> None:
    made = [a_user(app, name) for name in ("zoe", "Ada", "grace")]

    lines = succeeded(flask_users(app, "list")).splitlines()

    assert [line.split() for line in lines] == [[str(user.id), "active", user.username, user.email] for user in made]
    listed = data(flask_users(app, "list", "--json"))
    assert [user["username"] for user in listed] == ["zoe", "Ada", "grace"]
    assert listed[1] == data(flask_users(app, "show", "ada", "--json"))


def test_nobody_is_listed_as_nothing(app: Flask) -> None:
    assert succeeded(flask_users(app, "list")) == ""
    assert data(flask_users(app, "list", "--json")) == []


@pytest.mark.parametrize("name", ["Grace", "grace", "GRACE", "grace@example.com", "GRACE@EXAMPLE.COM"])
def test_a_user_is_shown_by_name_or_email(app: Flask, name: str) -> None:
    user = a_user(app, "Grace", email="grace@example.com")

    lines = succeeded(flask_users(app, "show", name)).splitlines()

    assert lines[:4] == [f"id: {user.id}", "kind: person", "username: Grace", "email: grace@example.com"]
    assert lines[4:6] == ["email_verified_at: -", "status: active"]
    assert "last_login_at: -" in lines


def test_a_login_is_shown(app: Flask) -> None:
    user = a_user(app)
    a_session(app, user)

    printed = data(flask_users(app, "show", user.username, "--json"))

    assert printed["last_login_at"].startswith(clock.now().isoformat()[:10])


def test_no_command_shows_a_hash(app: Flask) -> None:
    user = a_user(app)

    for arguments in (["list"], ["list", "--json"], ["show", user.username], ["show", user.username, "--json"]):
        printed = succeeded(flask_users(app, *arguments))
        assert "argon2" not in printed
        assert "password" not in printed


def test_a_disabled_user_has_no_sessions_and_cannot_log_in(app: Flask) -> None:
    user, bystander, _ = a_user(app), a_user(app), a_user(app, roles=["admin"])
    a_session(app, user)
    a_session(app, bystander)

    printed = succeeded(flask_users(app, "disable", user.username.upper()))

    assert printed == f"Disabled {user.username}, and ended its sessions.\n"
    assert (open_sessions(app, user), open_sessions(app, bystander)) == (0, 1)
    assert not opens(app, user.username, PASSWORD)
    assert data(flask_users(app, "show", user.username, "--json"))["status"] == "disabled"


def test_an_enabled_user_can_log_in_and_the_old_sessions_stay_ended(app: Flask) -> None:
    user = a_user(app)
    a_session(app, user)
    succeeded(flask_users(app, "disable", user.username))

    assert succeeded(flask_users(app, "enable", user.username)) == f"Enabled {user.username}.\n"

    assert opens(app, user.username, PASSWORD)
    assert open_sessions(app, user) == 0


@pytest.mark.parametrize("command", ["disable", "enable"])
def test_doing_it_twice_is_no_error(app: Flask, command: str) -> None:
    user = a_user(app)

    assert succeeded(flask_users(app, command, user.username)) == succeeded(flask_users(app, command, user.username))


@pytest.mark.parametrize("prompted", [True, False])
def test_a_password_is_set_and_the_sessions_end(app: Flask, prompted: bool) -> None:
    user = a_user(app)
    a_session(app, user)

    if prompted:
        result = flask_users(app, "set-password", user.username, stdin=f"{ANOTHER}\n{ANOTHER}\n")
    else:
        result = flask_users(app, "set-password", user.username, "--password-stdin", stdin=f"{ANOTHER}\n")

    assert f"Set the password of {user.username}, and ended its sessions." in succeeded(result)
    assert ANOTHER not in result.output
    assert (opens(app, user.username, ANOTHER), opens(app, user.username, PASSWORD)) == (True, False)
    assert open_sessions(app, user) == 0


@pytest.mark.parametrize("password", ["short", "password", "xx-ada-lovelace-xx"])
def test_a_password_that_is_not_acceptable_is_not_set(app: Flask, password: str) -> None:
    user = a_user(app, "ada-lovelace")
    a_session(app, user)

    refused(flask_users(app, "set-password", user.username, "--password-stdin", stdin=password), "password: It")

    assert opens(app, user.username, PASSWORD)
    assert open_sessions(app, user) == 1


@pytest.mark.parametrize("confirm", [["--yes"], []])
def test_a_user_is_deleted(app: Flask, confirm: list[str]) -> None:
    user, bystander, _ = a_user(app), a_user(app), a_user(app, roles=["admin"])
    a_session(app, user)

    printed = succeeded(flask_users(app, "delete", user.username, *confirm, stdin="y\n"))

    assert printed.endswith(f"Deleted {user.username}.\n")
    refused(flask_users(app, "show", user.username), "There is nothing here.")
    assert opens(app, bystander.username, PASSWORD)
    assert open_sessions(app, user) == 0


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nobody_is_deleted_without_a_yes(app: Flask, answer: str) -> None:
    user = a_user(app)

    result = flask_users(app, "delete", user.username, stdin=answer)

    assert result.exit_code == 1
    assert "Deleted" not in result.output
    assert opens(app, user.username, PASSWORD)


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["show", "--json"], ["disable"], ["enable"], ["delete", "--yes"], ["set-password", "--password-stdin"]],
)
@pytest.mark.parametrize("name", ["nobody", "nobody@example.com", "", "no\nbody", "' OR 1=1 --", "\udcff"])
def test_an_unknown_user_is_refused_in_one_line(app: Flask, arguments: list[str], name: str) -> None:
    a_user(app)

    refused(flask_users(app, *arguments, "--", name, stdin=ANOTHER))


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", "grace"],
        ["create", "grace", "grace@example.com", "extra"],
        ["create", "grace", "grace@example.com", "--password", PASSWORD],
        ["list", "extra"],
        ["show"],
        ["disable"],
        ["delete", "--maybe", "grace"],
        ["promote", "grace"],
        ["set-password"],
    ],
)
def test_misuse_explains_the_usage(app: Flask, arguments: list[str]) -> None:
    misused(flask_users(app, *arguments))


def test_what_is_created_here_needs_no_open_registration(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Services.of(app).accounts, "_registration_open", False)

    succeeded(flask_users(app, "create", "grace", "grace@example.com", "--password-stdin", stdin=PASSWORD))


def test_a_user_is_created_with_roles(app: Flask) -> None:
    with_role = ["create", "grace", "grace@example.com", "--role", "admin", "--role", "admin", "--password-stdin"]

    printed = data(flask_users(app, *with_role, "--json", stdin=PASSWORD))

    assert printed["roles"] == ["admin"]
    assert data(flask_users(app, "show", "grace", "--json"))["roles"] == ["admin"]


@pytest.mark.parametrize("role", ["wizard", "", "Admin", "admin ", "' OR 1=1 --", "\udcff"])
def test_nobody_is_created_with_a_role_that_there_is_not(app: Flask, role: str) -> None:
    arguments = ["create", "grace", "grace@example.com", "--role", "admin", "--role", role, "--password-stdin"]

    refused(flask_users(app, *arguments, stdin=PASSWORD), "role")

    refused(flask_users(app, "show", "grace"), "There is nothing here.")


def test_a_role_counts_from_the_next_request_on_and_is_gone_on_the_next_request(app: Flask, api: Api) -> None:
    a_user(app, roles=["admin"])
    user = a_user(app)
    token = a_session(app, user).access_token

    def introspected() -> int:
        return api.post("/auth/introspect", token=token, data={"token": "x"}).status_code

    assert introspected() == 403
    assert succeeded(flask_users(app, "grant", user.username, "admin")) == f"{user.username} has: admin.\n"
    assert introspected() == 200
    assert succeeded(flask_users(app, "revoke", user.username, "admin")) == f"{user.username} has: no role.\n"
    assert introspected() == 403


@pytest.mark.parametrize("command", ["grant", "revoke"])
def test_a_role_given_or_taken_twice_is_no_error(app: Flask, command: str) -> None:
    a_user(app, roles=["admin"])
    user = a_user(app)
    if command == "revoke":
        succeeded(flask_users(app, "grant", user.username, "admin"))

    first = succeeded(flask_users(app, command, user.email, "admin"))

    assert succeeded(flask_users(app, command, user.username.upper(), "admin")) == first


@pytest.mark.parametrize("role", ["wizard", "", "Admin", "\udcff"])
def test_a_role_that_there_is_not_cannot_be_granted(app: Flask, role: str) -> None:
    user = a_user(app)
    succeeded(flask_users(app, "grant", user.username, "admin"))

    refused(flask_users(app, "grant", user.username, "--", role), "role")

    assert data(flask_users(app, "show", user.username, "--json"))["roles"] == ["admin"]


@pytest.mark.parametrize("role", ["amdin", "", "Admin", "\udcff", "a\nb"])
def test_a_role_that_there_is_not_cannot_be_revoked(app: Flask, role: str) -> None:
    a_user(app, roles=["admin"])
    user = a_user(app, roles=["admin"])

    refused(flask_users(app, "revoke", user.username, "--", role), "There is no such role.")

    assert data(flask_users(app, "show", user.username, "--json"))["roles"] == ["admin"]


@pytest.mark.parametrize("command", ["grant", "revoke"])
def test_nobody_has_no_roles(app: Flask, command: str) -> None:
    refused(flask_users(app, command, "nobody", "admin"), "There is no user 'nobody'.")


def test_a_role_leaves_sessions_and_other_accounts_alone(app: Flask) -> None:
    user, bystander, _ = a_user(app), a_user(app), a_user(app, roles=["admin"])
    a_session(app, user)

    succeeded(flask_users(app, "grant", user.username, "admin"))
    succeeded(flask_users(app, "revoke", user.username, "admin"))

    assert open_sessions(app, user) == 1
    assert data(flask_users(app, "show", bystander.username, "--json"))["roles"] == []


def test_a_deleted_account_takes_its_roles_with_it(app: Flask) -> None:
    user, _ = a_user(app, roles=["admin"]), a_user(app, roles=["admin"])

    succeeded(flask_users(app, "delete", user.username, "--yes"))

    a_user(app, user.username)
    assert data(flask_users(app, "show", user.username, "--json"))["roles"] == []


@pytest.mark.parametrize("arguments", [["grant"], ["grant", "grace"], ["revoke", "grace"], ["grant", "a", "b", "c"]])
def test_misuse_of_roles_explains_the_usage(app: Flask, arguments: list[str]) -> None:
    misused(flask_users(app, *arguments))
