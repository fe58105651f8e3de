"""A mark on a view counts wherever it stands, or it is refused: none is silently ignored."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

import authapp
from authapp import AuthApp, create_app, fresh, public, requires
from authapp.context import OPERATOR
from authapp.domain.services import Services
from conftest import dispose
from databases import Databases
from factories import a_session, a_user
from settings import settings

Mark = Callable[[Any], Any]


@pytest.fixture
def ours(databases: Databases) -> Iterator[Flask]:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        yield app
        dispose(app)


def status(app: Flask, method: str = "GET", path: str = "/marked", roles: tuple[str, ...] = ()) -> int:
    token = a_session(app, a_user(app, roles=roles)).access_token
    return app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_mark_above_the_route_of_a_plain_blueprint_counts(ours: Flask) -> None:
    plain = Blueprint("plain", __name__)

    @requires("users:read")
    @plain.get("/marked")
    def view() -> str:
        return "secret"

    ours.register_blueprint(plain)
    assert status(ours) == 403


@pytest.mark.parametrize("mark", [requires("users:read"), fresh, public])
def test_a_mark_above_the_route_of_a_documented_blueprint_is_refused(mark: Mark) -> None:
    blueprint = authapp.Blueprint("documented", __name__)

    @blueprint.get("/marked")
    @blueprint.response(200)
    def view() -> dict[str, str]:
        return {}

    with pytest.raises(TypeError, match="below the decorator that registers"):
        mark(view)


@pytest.mark.parametrize(
    ("one", "other"),
    [(public, requires("users:read")), (public, fresh), (requires("users:read"), requires("users:write"))],
)
def test_marks_that_contradict_each_other_are_refused(one: Mark, other: Mark) -> None:
    for first, second in ((one, other), (other, one)):
        marked = first(lambda: "secret")
        with pytest.raises(TypeError, match="contradict"):
            second(marked)


class Marked(MethodView):
    """A class-based view that marks each of its methods, and one of them not at all."""

    @requires("users:read")
    def get(self) -> str:
        return "secret"

    @public
    def post(self) -> str:
        return "open"

    def put(self) -> str:
        return "locked"


@requires("users:read")
class MarkedClass(View):
    """A class-based view that is marked as a whole."""

    def dispatch_request(self) -> str:
        return "secret"


def test_marks_of_a_class_based_view_count(ours: Flask) -> None:
    ours.add_url_rule("/marked", view_func=Marked.as_view("methods"))
    ours.add_url_rule("/class", view_func=MarkedClass.as_view("class"))

    assert [status(ours, "GET"), status(ours, "HEAD"), status(ours, path="/class")] == [403, 403, 403]
    assert [status(ours, "GET", roles=("admin",)), status(ours, path="/class", roles=("admin",))] == [200, 200]
    guest = ours.test_client()
    assert [guest.get("/marked").status_code, guest.post("/marked").status_code] == [401, 200]
    assert [guest.put("/marked").status_code, status(ours, "PUT")] == [401, 200]


def test_marks_of_a_class_based_view_in_a_documented_blueprint_count(ours: Flask) -> None:
    blueprint = authapp.Blueprint("documented", __name__)
    blueprint.add_url_rule("/marked", view_func=Marked.as_view("methods"))
    AuthApp.of(ours).register_blueprint(blueprint)

    assert status(ours) == 403


def test_marks_that_a_class_and_its_method_contradict_let_nobody_in(ours: Flask) -> None:
    class Contradicting(MethodView):
        decorators = (requires("users:write"),)

        @public
        def get(self) -> str:
            return "secret"

    ours.add_url_rule("/marked", view_func=Contradicting.as_view("contradicting"))
    ours.config["PROPAGATE_EXCEPTIONS"] = False

    assert ours.test_client().get("/marked").status_code == 500


def test_two_permissions_are_never_fewer(ours: Flask) -> None:
    with ours.app_context():
        Services.of(ours).roles.create("reader", ["users:read"], context=OPERATOR)

    class Both(MethodView):
        decorators = (requires("users:read"),)

        @requires("users:write")
        def get(self) -> str:
            return "secret"

    ours.add_url_rule("/marked", view_func=Both.as_view("both"))
    ours.config["PROPAGATE_EXCEPTIONS"] = False

    assert status(ours, roles=("reader",)) == 500
