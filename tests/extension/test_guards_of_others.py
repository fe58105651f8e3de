"""What guards the views of an application that has authapp as an extension."""

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask_jwt_extended import get_jwt_identity, jwt_required

from authapp import (
    AuthApp,
    Principal,
    current_principal,
    fresh,
    request_context,
    requires,
    testing,
)
from conftest import dispose
from extension.others import locked_blueprint, plain_app
from settings import settings


def test_a_locked_blueprint_asks_for_a_token(theirs: Flask, their_client: FlaskClient) -> None:
    user = testing.create_user(theirs, "ada")

    assert their_client.get("/locked/name").json["code"] == "token_missing"
    assert testing.client(theirs, user).get("/locked/name").json == {"name": "ada"}


def test_a_blueprint_that_they_register_themselves_stays_open(theirs: Flask) -> None:
    plain = Blueprint("plain", __name__)
    plain.add_url_rule("/plain", view_func=lambda: "open")
    theirs.register_blueprint(plain)

    assert theirs.test_client().get("/plain").text == "open"


def test_what_is_nested_in_a_locked_blueprint_is_locked_under_any_name(url: str) -> None:
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    inner.add_url_rule("/inner", view_func=lambda: "unreachable")
    outer.register_blueprint(inner)
    app = plain_app()
    AuthApp(app, settings(database_url=url)).register_blueprint(outer, name="renamed", url_prefix="/outer")

    assert app.test_client().get("/outer/inner").json["code"] == "token_missing"
    dispose(app)


def test_jwt_required_guards_a_view_of_theirs_with_our_tokens(theirs: Flask) -> None:
    @theirs.get("/jwt")
    @jwt_required()
    def identity() -> dict[str, str]:
        return {"identity": get_jwt_identity()}

    user = testing.create_user(theirs)

    assert theirs.test_client().get("/jwt").json["code"] == "token_missing"
    assert testing.client(theirs, user).get("/jwt").json == {"identity": str(user.id)}


def test_a_marked_view_is_guarded_wherever_it_is_registered(theirs: Flask) -> None:
    theirs_alone = Blueprint("theirs_alone", __name__)

    @theirs.get("/marked")
    @fresh
    def marked() -> str:
        return "secret"

    @theirs_alone.get("/marked-in-blueprint")
    @requires("users:read")
    def marked_in_blueprint() -> str:
        return "secret"

    theirs.register_blueprint(theirs_alone)
    guest, user = theirs.test_client(), testing.client(theirs, testing.create_user(theirs))

    assert [guest.get("/marked").status_code, user.get("/marked").status_code] == [401, 200]
    assert [client.get("/marked-in-blueprint").status_code for client in (guest, user)] == [401, 403]


@pytest.mark.parametrize("options", [{"name_prefix": "their"}, {"name": "other"}, {"name_prefix": "a", "name": "b"}])
def test_a_blueprint_is_locked_under_whatever_name_it_is_registered(theirs: Flask, options: dict[str, str]) -> None:
    AuthApp.of(theirs).register_blueprint(locked_blueprint(), url_prefix="/renamed", **options)
    guest = theirs.test_client()

    assert guest.get("/renamed/name").json["code"] == "token_missing"
    assert guest.get("/renamed/abort/404").json["code"] == "not_found"


def test_a_blueprint_within_a_locked_one_is_locked(theirs: Flask) -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    outer.register_blueprint(locked_blueprint())
    AuthApp.of(theirs).register_blueprint(outer)
    guest = theirs.test_client()

    assert guest.get("/outer/locked/name").json["code"] == "token_missing"
    assert guest.get("/outer/locked/abort/404").json["code"] == "not_found"


def test_an_optional_token_is_optional(theirs: Flask) -> None:
    @theirs.get("/optional")
    @jwt_required(optional=True)
    def name() -> dict[str, str | None]:
        acting = request_context().principal
        return {"name": acting.username if isinstance(acting, Principal) else None}

    user = testing.create_user(theirs, "ada")

    assert theirs.test_client().get("/optional").json == {"name": None}
    assert testing.client(theirs, user).get("/optional").json == {"name": "ada"}
    broken = theirs.test_client().get("/optional", headers={"Authorization": "Bearer broken"})
    assert broken.json["code"] == "token_invalid"


def test_whoever_jwt_required_lets_in_is_no_guest(theirs: Flask) -> None:
    @theirs.get("/jwt")
    @jwt_required()
    def names() -> list[str]:
        acting = request_context().principal
        return [current_principal().username, acting.username if isinstance(acting, Principal) else "guest"]

    assert testing.client(theirs, testing.create_user(theirs, "ada")).get("/jwt").json == ["ada", "ada"]
