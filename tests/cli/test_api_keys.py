"""``flask api-keys``, and the accounts of services."""

from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask

from authapp.cli.api_keys import api_keys as commands
from authapp.cli.checks import CheckLevel
from authapp.cli.checks.api_keys import service_keys
from authapp.domain.services import Services
from authapp.security import api_keys
from cli.invoking import data, flask_users, invoke, misused, refused, succeeded
from clocks import Time
from factories import Api, a_service, a_user, an_api_key, api_key_row, problem


def flask_api_keys(app: Flask, *arguments: str) -> Result:
    return invoke(app, commands, *arguments)


def test_an_operator_makes_a_key_of_a_service(app: Flask, api: Api) -> None:
    made = succeeded(flask_users(app, "create-service", "reports", "--role", "admin"))
    assert made.startswith("Created the service reports with id ")
    key = succeeded(flask_api_keys(app, "create", "reports", "--name", "nightly")).strip()
    assert api.get("/users/me", key).get_json()["roles"] == ["admin"]


def test_a_key_may_be_limited_and_end(app: Flask, time: Time) -> None:
    a_service(app, "reports")
    options = ("--permission", "users:read", "--permission", "roles:read", "--expires", "90d", "--json")
    made = data(flask_api_keys(app, "create", "reports", "--name", "x", *options))
    assert made["permissions"] == ["roles:read", "users:read"]
    assert api_key_row(app, made["key"]).expires_at == time.now + timedelta(days=90)
    (listed,) = data(flask_api_keys(app, "list", "reports", "--json"))
    assert listed == {name: value for name, value in made.items() if name != "key"}


def test_keys_are_listed_and_deleted(app: Flask, api: Api) -> None:
    key = an_api_key(app, a_user(app, "ada"), name="laptop")
    key_id = api_keys.parse(key).key_id
    listed = succeeded(flask_api_keys(app, "list", "ada"))
    assert listed == f"{key_id}  {key[: api_keys.PREFIX_LENGTH]}  laptop  may: all  used: never  ends: never\n"
    assert succeeded(flask_api_keys(app, "delete", "ada", str(key_id))) == f"Deleted the key {key_id} of ada.\n"
    problem(api.get("/ping", key), 401, "token_invalid")
    refused(flask_api_keys(app, "delete", "ada", str(key_id)))


def test_a_key_that_was_found_is_deleted_by_its_prefix(app: Flask, api: Api) -> None:
    user = a_user(app, "ada")
    for part in (slice(None), slice(api_keys.PREFIX_LENGTH)):
        key = an_api_key(app, user)
        key_id = api_keys.parse(key).key_id
        assert succeeded(flask_api_keys(app, "delete", key[part])) == f"Deleted the key {key_id} of {user.id}.\n"
        problem(api.get("/ping", key), 401, "token_invalid")
    misused(flask_api_keys(app, "delete", "ada"))


def test_a_logout_may_take_the_keys_along(app: Flask, api: Api) -> None:
    key = an_api_key(app, a_user(app, "ada"))
    assert succeeded(flask_users(app, "logout", "ada")) == "Ended 0 session(s) of ada.\n"
    assert api.get("/ping", key).status_code == 200
    assert succeeded(flask_users(app, "logout", "ada", "--keys")).endswith("Deleted 1 API key(s) of ada.\n")
    problem(api.get("/ping", key), 401, "token_invalid")


def test_a_key_that_cannot_be_is_refused_in_one_line(app: Flask) -> None:
    a_service(app, "reports")
    refused(flask_api_keys(app, "create", "nobody", "--name", "x"), "There is no user 'nobody'.")
    refused(flask_api_keys(app, "list", "nobody"), "There is no user 'nobody'.")
    refused(flask_api_keys(app, "create", "reports", "--name", "x", "--permission", "no:such"))
    misused(flask_api_keys(app, "create", "reports", "--name", "x", "--expires", "0d"))
    misused(flask_api_keys(app, "delete", "reports", "x"))


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "a\nb", "\x1b[2J", "\0", "evil\u202emoc"],
    ids=["none", "long", "lines", "escape", "NUL", "direction"],
)
def test_a_name_that_could_forge_a_line_is_refused(app: Flask, name: str) -> None:
    a_service(app, "reports")
    refused(flask_api_keys(app, "create", "reports", "--name", name))


def test_a_service_has_no_password_and_no_address(app: Flask) -> None:
    a_service(app, "reports")
    sentence = "A service account has no password and no email address."
    refused(flask_users(app, "set-password", "reports", "--password-stdin", stdin="a long sentence"), sentence)
    refused(flask_users(app, "verify-email", "reports"), sentence)
    refused(flask_users(app, "send-reset", "reports"), sentence)
    assert "reports" in succeeded(flask_users(app, "list"))
    assert "email: -" in succeeded(flask_users(app, "show", "reports"))


def test_doctor_names_the_services_whose_keys_expire_soon(app: Flask, time: Time) -> None:
    in_five_days = time.now + timedelta(days=5)
    an_api_key(app, a_user(app), expires_at=in_five_days)
    an_api_key(app, a_service(app), expires_at=time.now + timedelta(days=8))
    with app.app_context():
        assert service_keys(Services.of(app)).level is CheckLevel.OK
    service = a_service(app, "reports")
    for _ in range(2):
        an_api_key(app, service, expires_at=in_five_days)
    with app.app_context():
        result = service_keys(Services.of(app))
    assert result.level is CheckLevel.WARN
    assert result.sentence.endswith("first those of reports.")
    time.passes(days=5)
    with app.app_context():
        assert "reports" not in service_keys(Services.of(app)).sentence
