"""A mark on a view counts wherever it stands, or it is refused: none is silently ignored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

import authapp
from authapp import AuthApp, Principal, fresh, limited, public, requires
from authapp.api.guards import Guard, mark, refresh_token
from authapp.context import OPERATOR
from authapp.domain.services import Services
from authapp.errors import Refusal, ResourceNotFound
from authapp.models.role import ADMIN
from conftest import dispose
from databases import Databases
from factories import a_session, a_user
from settings import settings

pytestmark = pytest.mark.committed
Mark = Callable[[Any], Any]


def bearer(app: Flask, *roles: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {a_session(app, a_user(app, roles=roles)).access_token}"}


def status(app: Flask, method: str = "GET", path: str = "/marked", roles: tuple[str, ...] = ()) -> int:
    return app.test_client().open(path, method=method, headers=bearer(app, *roles)).status_code


def test_a_mark_above_the_route_of_a_plain_blueprint_counts(app: Flask) -> None:
    plain = Blueprint("plain", __name__)

    @requires("users:read")
    @plain.get("/marked")
    def view() -> str:
        return "secret"

    app.register_blueprint(plain)
    assert status(app) == 403


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
    [
        (public, requires("users:read")),
        (public, fresh),
        (public, refresh_token),
        (limited("login"), limited("password")),
    ],
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


def test_marks_of_a_class_based_view_count(app: Flask) -> None:
    app.add_url_rule("/marked", view_func=Marked.as_view("methods"))
    app.add_url_rule("/class", view_func=MarkedClass.as_view("class"))

    assert [status(app, "GET"), status(app, "HEAD"), status(app, path="/class")] == [
        403,
        403,
        403,
    ]
    assert [status(app, "GET", roles=("admin",)), status(app, path="/class", roles=("admin",))] == [
        200,
        200,
    ]
    guest = app.test_client()
    assert [guest.get("/marked").status_code, guest.post("/marked").status_code] == [401, 200]
    assert [guest.put("/marked").status_code, status(app, "PUT")] == [401, 200]


def test_marks_of_a_class_based_view_in_a_documented_blueprint_count(app: Flask) -> None:
    blueprint = authapp.Blueprint("documented", __name__)
    blueprint.add_url_rule("/marked", view_func=Marked.as_view("methods"))
    AuthApp.of(app).register_blueprint(blueprint)

    assert status(app) == 403


def test_marks_that_a_class_and_its_method_contradict_let_nobody_in(app: Flask) -> None:
    class Contradicting(MethodView):
        decorators = (requires("users:write"),)

        @public
        def get(self) -> str:
            return "secret"

    app.add_url_rule("/marked", view_func=Contradicting.as_view("contradicting"))
    app.config["PROPAGATE_EXCEPTIONS"] = False

    assert app.test_client().get("/marked").status_code == 500


def test_of_two_permissions_both_are_needed(app: Flask) -> None:
    with app.app_context():
        Services.of(app).roles.create("reader", ["users:read"], context=OPERATOR)
        Services.of(app).roles.create("writer", ["users:write"], context=OPERATOR)

    class Both(MethodView):
        decorators = (requires("users:read"),)

        @requires("users:write")
        def get(self) -> str:
            return "secret"

    app.add_url_rule("/marked", view_func=Both.as_view("both"))

    assert [status(app, roles=(role,)) for role in ("reader", "writer", "admin")] == [403, 403, 200]


def test_marks_that_a_decorator_hides_let_nobody_in(app: Flask) -> None:
    plain, documented = Blueprint("plain", __name__), authapp.Blueprint("documented", __name__)

    def timed(view: Callable[[], str]) -> Callable[[], str]:
        def inner() -> str:
            return view()

        return inner

    def marked() -> str:
        return "secret"

    plain.add_url_rule("/marked", view_func=timed(requires("users:read")(marked)))
    AuthApp.of(app).register_blueprint(plain)
    assert status(app, roles=(ADMIN,)) == 500

    with pytest.raises(TypeError, match=r"functools\.wraps"):
        documented.get("/marked")(timed(requires("users:read")(marked)))


def test_an_empty_mark_locks_a_view_wherever_it_is(databases: Databases) -> None:
    with databases.migrated() as url:
        app = Flask("others")
        AuthApp(app, settings(database_url=url))
        app.add_url_rule("/marked", "marked", mark(lambda: "secret", Guard()))
        app.add_url_rule("/free", "free", lambda: "hello")
        assert app.test_client().get("/marked").status_code == 401
        assert app.test_client().get("/free").status_code == 200
        dispose(app)


class EmptyMark(MethodView):
    """A class-based view with an empty mark on one of its methods."""

    def get(self) -> str:
        return "secret"

    def post(self) -> str:
        return "free"

    mark(get, Guard())


class EmptyMarkOfClass(View):
    """A class-based view with an empty mark."""

    def dispatch_request(self) -> str:
        return "secret"


def test_an_empty_mark_locks_a_class_based_view_wherever_it_is(databases: Databases) -> None:
    with databases.migrated() as url:
        app = Flask("others")
        AuthApp(app, settings(database_url=url))
        app.add_url_rule("/marked", view_func=EmptyMark.as_view("methods"))
        app.add_url_rule("/class", view_func=mark(EmptyMarkOfClass, Guard()).as_view("class"))
        client = app.test_client()
        assert [client.get("/marked").status_code, client.get("/class").status_code] == [401, 401]
        assert client.post("/marked").status_code == 200
        dispose(app)


def test_a_view_that_knows_itself_hides_no_marks(app: Flask) -> None:
    documented = authapp.Blueprint("documented", __name__)

    @documented.get("/marked")
    def view() -> dict[str, str]:
        return {"name": view.__name__}

    AuthApp.of(app).register_blueprint(documented)
    assert status(app) == 200


def test_a_requirement_of_the_application_is_that_of_every_view_but_exempt_and_public_ones(app: Flask) -> None:
    plain = Blueprint("plain", __name__)
    plain.add_url_rule("/marked", "marked", lambda: "secret")
    plain.add_url_rule("/exempt", "exempt", mark(lambda: "enrol", Guard(exempt=(NamedLike,))))
    plain.add_url_rule("/open", "open", public(lambda: "hello"))
    AuthApp.of(app).register_blueprint(plain)
    AuthApp.of(app).requirements.append(NamedLike("nobody"))
    assert {path: status(app, path=path) for path in ("/marked", "/exempt", "/open", "/api/v1/ping")} == {
        "/marked": 404,
        "/exempt": 200,
        "/open": 200,
        "/api/v1/ping": 404,
    }


@dataclass(frozen=True)
class NamedLike:
    """A requirement of an application's own."""

    prefix: str
    refusals: ClassVar[Sequence[type[Refusal]]] = (ResourceNotFound,)
    description: ClassVar[str] = "Needs another name."

    def check(self, principal: Principal) -> None:
        if not principal.username.startswith(self.prefix):
            raise ResourceNotFound


def test_a_mark_of_an_application_is_checked_and_documented(app: Flask) -> None:
    blueprint = authapp.Blueprint("office", __name__)

    @blueprint.get("/marked")
    @lambda view: mark(view, Guard(requirements=(NamedLike("nobody"),)))
    @requires("users:read")
    @blueprint.response(200)
    def view() -> dict[str, str]:
        return {}

    AuthApp.of(app).register_blueprint(blueprint)
    answer = app.test_client().get("/marked", headers=bearer(app, ADMIN))
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    documented = app.test_client().get("/openapi.json").get_json()["paths"]["/marked"]["get"]
    assert "not_found" in documented["responses"]["404"]["description"]
    assert "permission_denied" in documented["responses"]["403"]["description"]
    assert documented["description"] == "Needs the permission `users:read`. Needs another name."
