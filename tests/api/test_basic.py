"""HTTP Basic with an account, at introspection and revocation and nowhere else."""

from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from api.access_table import ACCESS, FRESH, GUEST, RECENT, REFRESH, TABLE, TWO_FACTORS
from authapp import hooks
from authapp.api.basic import BASIC
from authapp.api.guards import accepts, guard_of, public, refresh_token
from authapp.config import RateLimit
from authapp.context import OPERATOR, Principal
from authapp.database.session import db
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PermissionDenied
from authapp.models import AuditEvent, Session, Throttle, User
from clocks import Time
from conftest import reconfigured
from domain.concurrently import at_once
from factories import GUEST as CLIENT
from factories import PASSWORD, Api, a_session, a_user, problem

ACCEPTING = {"POST   /api/v1/auth/introspect", "POST   /api/v1/auth/revoke"}


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


def introspect(api: Api, headers: dict[str, str], token: str = "x", **form: str) -> TestResponse:
    return api.post("/auth/introspect", headers=headers, data={"token": token, **form})


def failures(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Throttle.failures)))


@pytest.fixture
def service(app: Flask) -> User:
    """An account that may introspect, and nothing else."""
    with app.app_context():
        Services.of(app).roles.create("introspector", ["tokens:introspect"], context=OPERATOR)
    return a_user(app, "reports", roles=["introspector"])


@pytest.fixture
def pair(app: Flask) -> TokenPair:
    return a_session(app, a_user(app, "Ada"))


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", ["reports", "REPORTS", "reports@example.com"])
def test_an_account_with_the_permission_introspects(app: Flask, api: Api, pair: TokenPair, name: str) -> None:
    answer = introspect(api, basic(name), pair.access_token)
    assert (answer.status_code, answer.get_json()["username"]) == (200, "Ada")
    sessions = (
        select(func.count())
        .select_from(Session)
        .join(User, User.id == Session.user_id)
        .where(User.username == "reports")
    )
    with app.app_context():
        assert db.session.scalar(sessions) == 0
    assert failures(app) == [0], "a right password is not held against it"


@pytest.mark.usefixtures("service")
def test_other_parameters_are_ignored(api: Api, pair: TokenPair) -> None:
    form = {"client_id": "reports", "client_secret": "x", "token_type_hint": "access_token", "made_up": "x"}
    assert introspect(api, basic("reports"), pair.access_token, **form).get_json()["active"] is True
    answer = api.post("/auth/revoke", token=pair.access_token, data={"token": pair.access_token, **form})
    assert answer.status_code == 200
    problem(api.get("/ping", pair.access_token), 401, "token_revoked")


def test_without_the_permission_it_is_refused(app: Flask, api: Api) -> None:
    a_user(app, "plain")
    problem(introspect(api, basic("plain")), 403, "permission_denied")


def test_a_role_counts_from_the_next_request_on(app: Flask, api: Api, service: User) -> None:
    assert introspect(api, basic("reports")).status_code == 200
    with app.app_context():
        Services.of(app).administration.revoke(service.username, "introspector", OPERATOR)
    problem(introspect(api, basic("reports")), 403, "permission_denied")


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "header",
    [
        basic("reports", "wrong password")["Authorization"],
        basic("nobody")["Authorization"],
        basic("reports", PASSWORD + "\0")["Authorization"],
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic \xff",
        "Basic " + b64encode(b"no colon").decode(),
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Basic " + b64encode(b"%ff:%ff").decode(),
        basic("reports")["Authorization"] + ",Bearer x",
        basic("reports")["Authorization"] + " x",
    ],
)
@pytest.mark.parametrize("path", ["/auth/introspect", "/auth/revoke"])
def test_what_is_wrong_is_refused_with_a_challenge_of_its_scheme(api: Api, path: str, header: str) -> None:
    answer = api.post(path, headers={"Authorization": header}, data={"token": "x"})
    problem(answer, 401, "invalid_credentials")
    assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="authapp", Basic realm="authapp"']


def test_a_browser_is_not_asked_for_a_password_unless_it_sent_one(api: Api, pair: TokenPair) -> None:
    for headers in ({}, {"Authorization": f"Bearer {pair.refresh_token}"}):
        assert "Basic" not in str(introspect(api, headers).headers)
    assert "Basic" not in str(api.log_in("nobody").headers)


def test_a_disabled_account_is_refused(app: Flask, api: Api, service: User) -> None:
    with app.app_context():
        Services.of(app).administration.disable(service.username, OPERATOR)
    problem(introspect(api, basic("reports")), 401, "invalid_credentials")


@pytest.mark.usefixtures("service")
def test_wrong_passwords_are_counted_with_those_of_logins(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=3)
    problem(api.log_in("reports", "wrong password"), 401, "invalid_credentials")
    for _ in range(2):
        problem(introspect(api, basic("reports", "wrong password")), 401, "invalid_credentials")
    problem(introspect(api, basic("reports")), 429, "too_many_requests")
    problem(api.log_in("reports"), 429, "too_many_requests")
    with app.app_context():
        refused = select(func.count()).select_from(AuditEvent).where(AuditEvent.type == "login.refused")
        assert db.session.scalar(refused) == 3


@pytest.mark.usefixtures("service")
def test_a_client_that_sends_its_password_all_the_time_resets_no_failures_of_who_guesses(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=3)
    for count in (1, 2):
        problem(api.log_in("reports", "a guess"), 401, "invalid_credentials")
        for _ in range(5):
            assert introspect(api, basic("reports")).status_code == 200
        assert failures(app) == [count]
    problem(introspect(api, basic("reports", "a guess")), 401, "invalid_credentials")
    problem(introspect(api, basic("reports")), 429, "too_many_requests")


OUTAGE = """
    CREATE FUNCTION outage() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'no taking back' USING ERRCODE = 'admin_shutdown'; END $$;
    CREATE TRIGGER outage BEFORE UPDATE ON login_throttles FOR EACH ROW
        WHEN (NEW.failures <= OLD.failures) EXECUTE FUNCTION outage();
"""


@pytest.mark.committed
@pytest.mark.usefixtures("service")
def test_attempts_that_an_outage_left_counted_stay_until_an_administrator_resets_them(app: Flask, api: Api) -> None:
    problem(introspect(api, basic("reports", "a guess")), 401, "invalid_credentials")
    execute(app, OUTAGE)
    for _ in range(2):
        problem(introspect(api, basic("reports")), 503, "service_unavailable")
    assert failures(app) == [3]
    execute(app, "DROP FUNCTION outage CASCADE")
    problem(introspect(api, basic("reports", "a guess")), 401, "invalid_credentials")
    for _ in range(2):
        assert introspect(api, basic("reports")).status_code == 200
        assert failures(app) == [4], "no guess is released"
    with app.app_context():
        assert Services.of(app).administration.unlock("reports", OPERATOR)
    assert failures(app) == []


def execute(app: Flask, statement: str) -> None:
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


@pytest.mark.usefixtures("service")
def test_a_right_password_after_the_delay_leaves_the_next_delay_as_long(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=1)
    for seconds in (1, 2, 4):
        problem(introspect(api, basic("reports", "a guess")), 401, "invalid_credentials")
        refused = introspect(api, basic("reports"))
        assert refused.headers["Retry-After"] == str(seconds)
        time.passes(seconds=seconds)
        for _ in range(2):
            assert introspect(api, basic("reports")).status_code == 200
    assert api.log_in("reports").status_code == 200
    assert failures(app) == []


def test_the_right_password_of_a_disabled_account_is_counted_like_a_wrong_one(
    app: Flask, api: Api, service: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=3)
    with app.app_context():
        Services.of(app).administration.disable(service.username, OPERATOR)
    for _ in range(3):
        problem(introspect(api, basic("reports")), 401, "invalid_credentials")
    problem(introspect(api, basic("reports")), 429, "too_many_requests")


def test_there_is_nothing_to_unlock_after_right_passwords_alone(app: Flask, api: Api, service: User) -> None:
    assert introspect(api, basic("reports")).status_code == 200
    with app.app_context():
        Services.of(app).administration.unlock(service.username, OPERATOR)
        unlocked = select(func.count()).select_from(AuditEvent).where(AuditEvent.type == "user.unlocked")
        assert db.session.scalar(unlocked) == 0


@pytest.mark.committed
@pytest.mark.usefixtures("service")
def test_right_passwords_at_once_do_not_refuse_each_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, login_failures_per_account=2, hashing_concurrency=1)
    login = Services.of(app).password_login
    outcomes = at_once(app, *[lambda: login.authenticate("reports", PASSWORD, CLIENT)] * 8)
    assert [type(outcome) for outcome in outcomes] == [Principal] * 8
    assert failures(app) == [0]


@pytest.mark.usefixtures("service")
def test_an_address_has_one_limit_for_logins_and_for_this(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, rate_limits={"login": RateLimit(2, 60)})
    assert api.log_in("reports").status_code == 200
    assert introspect(api, basic("reports")).status_code == 200
    refused = introspect(api, basic("reports"))
    problem(refused, 429, "too_many_requests")
    assert refused.headers["RateLimit-Policy"] == '"login";q=2;w=60'


@pytest.mark.usefixtures("service")
def test_what_a_hook_refuses_at_a_login_is_refused_here(api: Api) -> None:
    def refuse(_app: object, **_: Any) -> None:
        raise PermissionDenied("A second factor is required.")

    with hooks.before_session_start.connected_to(refuse):
        problem(introspect(api, basic("reports")), 403, "permission_denied")


def test_an_account_that_changes_while_its_password_is_checked_is_refused(app: Flask, api: Api, service: User) -> None:
    def change(_app: object, **_: Any) -> None:
        later = User.updated_at + func.make_interval(0, 0, 0, 0, 0, 0, 1)
        db.session.execute(update(User).where(User.id == service.id).values(updated_at=later))
        db.session.commit()

    with hooks.before_session_start.connected_to(change):
        problem(introspect(api, basic("reports")), 401, "invalid_credentials")


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("password", ["a b c d e f g", "100% of Grüße", "a:b:c:d:e", "pass&word=x/y?", "äöüß漢字漢字"])
def test_credentials_may_be_encoded_as_oauth_does(app: Flask, api: Api, password: str, *, encoded: bool) -> None:
    a_user(app, "reports", password=password, roles=["admin"])
    name = "reports@example.com"
    sent = basic(quote_plus(name), quote_plus(password)) if encoded else basic(name, password)
    assert introspect(api, sent).status_code == 200


def test_credentials_may_be_in_latin_1(app: Flask, api: Api) -> None:
    a_user(app, "reports", password="Grüße aus Köln", roles=["admin"])
    sent = b64encode("reports:Grüße aus Köln".encode("latin-1")).decode()
    assert introspect(api, {"Authorization": f"Basic {sent}"}).status_code == 200


def test_an_account_revokes_its_own_tokens_and_no_others(app: Flask, api: Api, pair: TokenPair) -> None:
    other = a_session(app, a_user(app, "grace"))
    for token in (pair.refresh_token, other.access_token, "unknown"):
        assert api.post("/auth/revoke", headers=basic("grace"), data={"token": token}).status_code == 200
    assert api.get("/ping", pair.access_token).status_code == 200
    problem(api.get("/ping", other.access_token), 401, "token_revoked")
    assert api.post("/auth/revoke", headers=basic("grace"), data={"token": other.refresh_token}).status_code == 200
    problem(api.post("/auth/refresh", token=other.refresh_token), 401, "token_revoked")


@pytest.mark.parametrize("route", TABLE)
def test_no_other_route_accepts_it(app: Flask, api: Api, route: str) -> None:
    a_user(app, "root", roles=["admin"])
    method, rule = route.split()
    path = rule.replace("<uuid:", "<").replace("<user_id>", "x").replace("<session_id>", "x")
    answer = api.client.open(path.replace("<name>", "x").replace("<code>", "x"), method=method, headers=basic("root"))
    code = (answer.get_json(silent=True) or {}).get("code")
    is_locked = TABLE[route] in {ACCESS, FRESH, RECENT, TWO_FACTORS, REFRESH} or ":" in TABLE[route]
    if route in ACCEPTING:
        assert (answer.status_code, code) == (422, "validation_failed")
    elif is_locked and code != "not_found":
        assert (answer.status_code, code) == (401, "token_missing")
    else:
        assert TABLE[route] == GUEST or code == "not_found"


def test_a_mark_for_more_credentials_contradicts_views_that_read_none(app: Flask) -> None:
    for other in (public, refresh_token):
        with pytest.raises(TypeError, match="contradict"):

            @other
            @accepts(BASIC)
            def view() -> str:
                return ""

    @accepts(BASIC)
    @accepts(BASIC)
    def twice() -> str:
        return ""

    assert guard_of(twice).authenticators == (BASIC,)


def test_the_document_names_the_scheme_where_it_is_accepted(api: Api) -> None:
    document = api.client.get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["basic"]["scheme"] == "basic"
    accepting = {
        f"{method.upper():6} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and {"basic": []} in operation["security"]
    }
    assert accepting == ACCEPTING | {"POST   /api/v1/oauth/token"}
    revoking = document["paths"]["/api/v1/auth/revoke"]["post"]["security"]
    assert revoking == [{"apiKey": []}, {"accessToken": []}, {"basic": []}]
