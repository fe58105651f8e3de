"""``AuthApp(app)`` in somebody's Flask application: what is theirs stays as it is without authapp."""

import pytest
from flask import Flask, Response, g, jsonify, request
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from flask_smorest import Api
from flask_sqlalchemy import SQLAlchemy
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from authapp import (
    AuthApp,
    RateLimit,
    TrustedProxies,
    testing,
)
from authapp.api.limiter import limiter
from authapp.domain.services import Services
from conftest import dispose
from extension.others import locked_blueprint, plain_app
from settings import settings


@pytest.mark.parametrize(
    "path", ["/", "/open", "/nowhere", "/abort/404", "/abort/413", "/abort/418", "/abort/500", "/upload"]
)
def test_their_routes_and_errors_are_answered_as_without_authapp(their_client: FlaskClient, path: str) -> None:
    without = plain_app().test_client().get(path)
    answer = their_client.get(path)

    assert (answer.status_code, answer.text) == (without.status_code, without.text)
    assert dict(answer.headers) == dict(without.headers)


def test_their_bodies_have_the_limit_that_they_set(their_client: FlaskClient) -> None:
    assert their_client.post("/upload", data=b"x" * 1_000_000).json == {"bytes": 1_000_000}


def test_an_error_of_the_database_in_their_view_is_theirs(theirs: Flask, their_client: FlaskClient) -> None:
    theirs.config["PROPAGATE_EXCEPTIONS"] = False

    assert their_client.get("/broken-sql").content_type.startswith("text/html")
    assert their_client.get("/locked/broken-sql").json["code"] == "internal_error"


def test_a_locked_blueprint_has_our_headers_errors_deadline_and_limit_on_bodies(theirs: Flask) -> None:
    client = testing.client(theirs, testing.create_user(theirs))

    assert client.get("/locked/deadline").json == {"deadline": True}
    assert client.get("/locked/name").headers["Cache-Control"] == "no-store"
    assert "X-Request-ID" in client.get("/locked/name").headers
    assert client.get("/locked/abort/404").json["code"] == "not_found"
    assert client.post("/locked/body", data=b"x" * 1_000_000).json["code"] == "payload_too_large"


def test_pages_of_listed_origins_may_use_our_routes_and_theirs_stay_theirs(url: str) -> None:
    app = plain_app()
    AuthApp(app, settings(database_url=url, cors_origins=("https://app.example.com",))).register_blueprint(
        locked_blueprint()
    )
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    for path, is_ours in {
        "/locked/name": True,
        "/locked/abort/500": True,
        "/api/v1/ping": True,
        "/open": False,
        "/upload": False,
        "/nowhere": False,
    }.items():
        for response in (app.test_client().get(path, headers=asked), app.test_client().options(path, headers=asked)):
            assert ("Access-Control-Allow-Origin" in response.headers) is is_ours, path
            assert ("Vary" in response.headers) is is_ours, path
        assert (response.status_code == 204) is is_ours, path
    dispose(app)


def test_the_general_limit_counts_our_routes_alone(url: str) -> None:
    app = plain_app()
    limits = {"rate_limit_storage": "memory://", "rate_limit_default": RateLimit(2, 86400)}
    AuthApp(app, settings(database_url=url, cors_origins=("https://app.example.com",), **limits))
    client = app.test_client()

    assert [client.get("/open").status_code for _ in range(4)] == [200] * 4
    assert [client.get("/health/live").status_code for _ in range(4)] == [200, 200, 429, 429]
    refused = client.get("/health/live", headers={"Origin": "https://app.example.com"})
    assert refused.json["code"] == "too_many_requests"
    assert refused.headers["X-Request-ID"] == refused.json["request_id"]
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    dispose(app)


def test_a_limit_of_their_own_counts_a_route_of_theirs(url: str) -> None:
    app = plain_app()
    AuthApp(app, settings(database_url=url, rate_limit_storage="memory://", rate_limit_default=RateLimit(1, 86400)))
    app.add_url_rule("/theirs", view_func=limiter.limit("2/day")(lambda: "theirs"))
    client = app.test_client()

    assert [client.get("/theirs").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/theirs").mimetype == "text/html"
    dispose(app)


@pytest.mark.parametrize("amounts", [(3, 2), (2, 3), (2, None)])
def test_each_application_of_a_process_has_its_own_general_limit(url: str, amounts: tuple[int, int | None]) -> None:
    for amount in amounts:
        app = plain_app()
        limit = RateLimit(amount, 86400) if amount else None
        AuthApp(app, settings(database_url=url, rate_limit_storage="memory://", rate_limit_default=limit))
        statuses = [app.test_client().get("/health/live").status_code for _ in range(4)]
        assert statuses.count(200) == (amount or 4)
        dispose(app)


def test_our_own_routes_are_as_in_an_application_of_ours(theirs: Flask, their_client: FlaskClient) -> None:
    assert their_client.get("/health/ready").json == {"status": "ready"}
    assert their_client.get("/api/v1/users/me").json["code"] == "token_missing"
    assert their_client.post("/api/v1/auth/login", data=b"{").status_code == 415


@pytest.mark.parametrize("authapp_is_first", [True, False])
def test_handlers_that_they_register_answer_their_routes_and_not_ours(url: str, authapp_is_first: bool) -> None:
    app = plain_app()
    if authapp_is_first:
        AuthApp(app, settings(database_url=url)).register_blueprint(locked_blueprint())

    @app.errorhandler(404)
    @app.errorhandler(413)
    @app.errorhandler(429)
    def by_status(error: HTTPException) -> tuple[str, int | None]:
        return "their status", error.code

    @app.errorhandler(HTTPException)
    def by_class(error: HTTPException) -> tuple[str, int | None]:
        return "their class", error.code

    if not authapp_is_first:
        AuthApp(app, settings(database_url=url)).register_blueprint(locked_blueprint())
    client = app.test_client()

    assert client.get("/nowhere").text == "their status"
    assert client.get("/abort/413").text == "their status"
    assert client.get("/abort/418").text == "their class"
    assert client.get("/locked/abort/404").json["code"] == "not_found"
    assert client.get("/locked/abort/413").json["code"] == "payload_too_large"
    assert client.get("/locked/abort/418").json["code"] == "malformed_request"
    assert client.get("/locked/abort/429").json["code"] == "too_many_requests"
    assert client.post("/api/v1/auth/login", json={"x": "y" * 1_000_000}).json["code"] == "payload_too_large"
    dispose(app)


def test_a_handler_of_a_locked_blueprint_is_heard_first(url: str) -> None:
    app, locked = plain_app(), locked_blueprint()
    locked.register_error_handler(RequestEntityTooLarge, lambda _: ("theirs", 413))
    AuthApp(app, settings(database_url=url)).register_blueprint(locked)

    assert app.test_client().get("/locked/abort/413").text == "theirs"
    assert app.test_client().get("/locked/abort/404").json["code"] == "not_found"
    dispose(app)


def test_what_they_do_before_and_after_each_request_is_done(url: str) -> None:
    app = plain_app()

    @app.before_request
    def note() -> None:
        g.statements = "yes"

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["X-Theirs"] = g.statements
        return response

    AuthApp(app, settings(database_url=url)).register_blueprint(locked_blueprint())

    for path in ("/open", "/nowhere", "/locked/name", "/health/live"):
        assert app.test_client().get(path).headers["X-Theirs"] == "yes"
    dispose(app)


def test_a_refusal_in_a_view_of_theirs_is_answered_as_a_problem(theirs: Flask) -> None:
    @theirs.get("/login-of-theirs")
    def log_in() -> dict[str, str]:
        services, context = Services.of(theirs), testing.GUEST
        return {"token": services.password_login.log_in("nobody", "secret secret", context).access_token}

    assert theirs.test_client().get("/login-of-theirs").json["code"] == "invalid_credentials"


def test_an_application_beside_ours_keeps_flask_jwt_extended_as_it_is(theirs: Flask) -> None:
    other = Flask("other")
    other.config["JWT_SECRET_KEY"] = "a secret of theirs, which is long enough"
    other.config["JWT_TOKEN_LOCATION"] = ["headers", "query_string"]
    JWTManager(other)

    @other.get("/jwt")
    @jwt_required()
    def identity() -> dict[str, str]:
        return {"identity": get_jwt_identity()}

    with other.app_context():
        token = create_access_token("somebody")
    client = other.test_client()

    assert client.get("/jwt").json == {
        "msg": "Missing JWT in headers or query_string (Missing Authorization Header; Missing 'jwt' query paramater)"
    }
    assert client.get("/jwt", headers={"Authorization": f"Bearer {token}"}).json == {"identity": "somebody"}
    assert client.get(f"/jwt?jwt={token}").json == {"identity": "somebody"}
    assert testing.client(theirs, testing.create_user(theirs)).get("/locked/name").status_code == 200


def test_commands_appear_only_where_authapp_is(theirs: Flask) -> None:
    other = Flask("other")

    assert {"users", "roles", "tokens", "keys", "audit", "doctor", "db"} <= theirs.cli.commands.keys()
    assert other.cli.commands.keys() == set()
    assert "No such command 'users'" in other.test_cli_runner().invoke(args=["users", "list"]).output


def test_their_own_flask_smorest_api_stays_their_own(url: str) -> None:
    app = plain_app()
    app.config.update(API_TITLE="Theirs", API_VERSION="9", OPENAPI_VERSION="3.0.3", OPENAPI_URL_PREFIX="/their-docs")
    AuthApp(app, settings(database_url=url))
    Api(app)
    client = app.test_client()

    assert client.get("/their-docs/openapi.json").json["info"] == {"title": "Theirs", "version": "9"}
    assert client.get("/openapi.json").json["info"]["title"] == "authapp"
    dispose(app)


def test_their_logger_keeps_its_level(url: str) -> None:
    app = plain_app()
    AuthApp(app, settings(database_url=url, log_level="ERROR"))

    assert app.logger.level == 0
    dispose(app)


def test_another_flask_sqlalchemy_is_refused_with_what_to_do(url: str) -> None:
    app = plain_app()
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    SQLAlchemy(app)

    with pytest.raises(RuntimeError, match="from authapp import db"):
        AuthApp(app, settings(database_url=url))


def test_another_flask_sqlalchemy_is_refused_after_authapp_as_well(theirs: Flask) -> None:
    with pytest.raises(RuntimeError, match="Import and use that instance instead"):
        SQLAlchemy(theirs)


def test_their_json_may_be_what_they_like(theirs: Flask) -> None:
    with theirs.test_request_context():
        assert jsonify(b=1, a=2).get_data(as_text=True) == '{"a":2,"b":1}\n'


def test_an_extension_serves_one_application(theirs: Flask, url: str) -> None:
    extension = AuthApp.of(theirs)
    services = extension.services

    with pytest.raises(RuntimeError, match="has an application already"):
        extension.init_app(plain_app(), settings(database_url=url))
    assert Services.of(theirs) is services


def test_their_application_trusts_proxies_when_it_is_wrapped_and_not_by_the_setting(url: str) -> None:
    app = plain_app()
    AuthApp(app, settings(database_url=url, trusted_proxies=1))
    app.add_url_rule("/address", view_func=lambda: str(request.remote_addr), endpoint="address")
    headers = {"X-Forwarded-For": '", 203.0.113.9'}

    shown = app.test_cli_runner().invoke(args=["doctor"]).stdout
    assert "AUTHAPP_TRUSTED_PROXIES does nothing here" in shown
    assert app.test_client().get("/address", headers=headers).text == "127.0.0.1"

    app.wsgi_app = TrustedProxies(app.wsgi_app, 1)  # type: ignore[method-assign]
    assert app.test_client().get("/address", headers=headers).text == "203.0.113.9"
    dispose(app)


def test_the_doctor_leaves_proxies_to_an_application_that_has_no_such_setting(theirs: Flask) -> None:
    assert (
        "proxies: Trusting some is up to this application." in theirs.test_cli_runner().invoke(args=["doctor"]).stdout
    )
