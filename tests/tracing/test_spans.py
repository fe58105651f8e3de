"""The spans of requests, statements, mails and questions to other servers, and what is in none of them."""

import gc
import re
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from opentelemetry.trace import SpanKind, StatusCode
from psycopg2.extras import execute_values
from sqlalchemy import MetaData, Table, insert, text
from sqlalchemy.exc import DataError

from authapp import public
from authapp.database import traced_cursor
from authapp.database.connect import DIALECT
from authapp.database.fast_path import PreparedStatement
from authapp.database.session import db, transaction
from authapp.database.traced_cursor import describe
from authapp.domain.http_client import HTTPClient, HTTPFailure, HTTPRequest
from authapp.domain.mail.delivery import MailDelivery
from authapp.serving.traces import ServerSpans
from authapp.tracing import sdk
from factories import PASSWORD, Api, a_session, a_user
from mail_deliveries import add, deliver
from range_server import range_server
from tracing.conftest import Spans

SECRET = "s3cr3t"
CONTINUED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ATTRIBUTES = {
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.scheme",
    "error.type",
    "authapp.code",
    "db.system.name",
    "db.operation.name",
    "db.query.summary",
    "db.response.status_code",
    "server.address",
    "authapp.mail.kind",
    "authapp.mail.outcome",
}


def ping(api: Api, token: str | None = None, **headers: str) -> None:
    api.client.get("/api/v1/ping", headers={**({"Authorization": f"Bearer {token}"} if token else {}), **headers})


def test_a_request_is_a_span_named_by_its_route_and_its_statement_is_below_it(
    app: Flask, api: Api, spans: Spans
) -> None:
    token = a_session(app, a_user(app, "ada")).access_token
    spans.clear()
    ping(api, token)
    request = spans.named("GET /api/v1/ping")
    assert request.kind is SpanKind.SERVER
    assert request.parent is None
    assert request.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/api/v1/ping",
        "http.response.status_code": 200,
    }
    (statement,) = spans.below(request)
    assert statement.kind is SpanKind.CLIENT
    assert statement.name.startswith("SELECT ")
    assert "users" in statement.name
    assert statement.attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.summary": statement.name,
    }


def test_a_route_with_an_id_has_its_template_and_an_error_its_code(api: Api, spans: Spans) -> None:
    ping_of = "/api/v1/users/019be2f1-8d0b-7c52-9a51-3f0e6d6a8b11"
    api.client.get(ping_of)
    request = spans.named("GET /api/v1/users/<uuid:user_id>")
    assert request.attributes
    assert request.attributes["authapp.code"] == "token_missing"
    assert request.status.status_code is StatusCode.UNSET
    api.client.open("/nowhere", method="BREW")
    assert spans.named("HTTP").attributes == {
        "http.request.method": "_OTHER",
        "url.scheme": "http",
        "http.response.status_code": 404,
        "authapp.code": "not_found",
    }


@pytest.mark.parametrize(("scheme", "recorded"), [("https", "https"), ("http", "http"), (SECRET, "http")])
def test_the_scheme_is_the_one_that_trusted_proxies_say(spans: Spans, scheme: str, recorded: str) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.url_scheme"] = scheme
        start_response("200 OK", [])
        return []

    ServerSpans(application)({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}, lambda *_: None)
    assert dict(spans.named("GET").attributes or {})["url.scheme"] == recorded


def test_health_probes_are_not_traced(api: Api, spans: Spans) -> None:
    assert api.client.get("/health/ready", headers={"traceparent": CONTINUED}).status_code == 200
    assert spans.all() == []
    api.client.get("/healthy")
    assert spans.named("GET")


def test_statements_of_both_paths_are_spans(app: Flask, api: Api, spans: Spans) -> None:
    a_user(app, "ada")
    spans.clear()
    api.client.post("/api/v1/auth/login", json={"username": "ada", "password": PASSWORD})
    request = spans.named("POST /api/v1/auth/login")
    names = Counter(span.name.split()[0] for span in spans.below(request))
    assert names["SELECT"] >= 1
    assert names["INSERT"] >= 1
    assert any("sessions" in span.name for span in spans.below(request))


def a_request() -> Any:
    return sdk.server_span("GET", None, {})


def test_nothing_that_a_client_sends_is_in_any_span(app: Flask, api: Api, spans: Spans) -> None:
    """Path, query, headers, cookies, body, the state of the trace, and the values of statements that fail."""
    hostile = {
        "User-Agent": SECRET,
        "Referer": f"https://example.com/{SECRET}",
        "Cookie": f"a={SECRET}",
        "X-Request-ID": SECRET,
        "X-Forwarded-For": SECRET,
        "X-Forwarded-Host": SECRET,
        "X-Forwarded-Proto": SECRET,
        "Host": f"{SECRET}.example.com",
        "Origin": f"https://{SECRET}.example",
        "traceparent": CONTINUED,
        "tracestate": f"{SECRET}={SECRET}",
        "baggage": f"user={SECRET}",
    }
    query = {"token": SECRET}
    account = {"username": SECRET, "email": f"{SECRET}@example.com", "password": f"{SECRET}-{PASSWORD}"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/api/v1/{SECRET}", {}),
        ("GET", f"/api/v1/users/{SECRET}", {}),
        (SECRET.upper(), "/api/v1/ping", {}),
        ("GET", "/api/v1/ping", {"headers": {"Authorization": f"Bearer {SECRET}"}}),
        ("POST", "/api/v1/auth/register", {"json": account}),
        ("POST", "/api/v1/auth/register", {"json": account}),
        ("POST", "/api/v1/auth/login", {"json": {"username": SECRET, "password": SECRET}}),
        ("POST", "/api/v1/auth/login", {"data": f'{{"{SECRET}', "content_type": "application/json"}),
        ("POST", "/api/v1/auth/login", {"json": {"username": SECRET, "password": f"{SECRET}-{PASSWORD}"}}),
        ("POST", "/api/v1/auth/login-links", {"json": {"email": f"{SECRET}@example.com"}}),
    ]
    for method, path, options in calls:
        headers = {**hostile, **options.pop("headers", {})}
        api.client.open(path, method=method, query_string=query, headers=headers, **options)
    with pytest.raises(DataError), app.app_context(), a_request():
        db.session.execute(text("SELECT CAST(:value AS integer)"), {"value": SECRET})
    assert len(spans.all()) > 2 * len(calls)
    # What is said of a statement that fails is why, by its SQLSTATE: invalid_text_representation.
    assert "22P02" in {dict(span.attributes or {}).get("db.response.status_code") for span in spans.all()}
    for span in spans.all():
        assert SECRET not in span.to_json().lower()
        assert set(span.attributes or {}) <= ATTRIBUTES
        assert not span.events
        assert not span.get_span_context().trace_state


def test_an_error_in_the_code_is_recorded_without_its_message(app: Flask, spans: Spans) -> None:
    with pytest.raises(RuntimeError), a_request():
        raise RuntimeError(SECRET)
    span = spans.named("GET")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "RuntimeError"}
    assert SECRET not in span.to_json()


def test_an_answer_500_is_an_error_of_the_span(
    app: Flask, api: Api, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(SECRET)

    endpoint = next(rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == "/api/v1/ping")
    monkeypatch.setitem(app.view_functions, endpoint, public(fail))
    api.client.get("/api/v1/ping")
    span = spans.named("GET /api/v1/ping")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes
    assert (span.attributes["error.type"], span.attributes["authapp.code"]) == ("500", "internal_error")


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT users.id FROM users JOIN sessions ON true WHERE name = 'FROM secrets'", "SELECT users sessions"),
        ("WITH gone AS (DELETE FROM roles RETURNING 1) SELECT count(*) FROM gone", "DELETE roles"),
        ("INSERT INTO roles (name) VALUES (1) ON CONFLICT (name) DO UPDATE SET name = 2", "INSERT roles"),
        ("WITH x AS \n(SELECT 1) SELECT 1 FROM x AS y, users WHERE a IS DISTINCT FROM b", "SELECT users"),
        ("DELETE FROM user_roles USING users WHERE extract(epoch FROM created_at) > 1", "DELETE user_roles users"),
        ("SELECT 1 FROM pg_class JOIN undeclared ON true", "SELECT"),
        ('INSERT INTO "audit_events" (id) SELECT 1 -- FROM secrets', "INSERT audit_events"),
        ("UPDATE ONLY users SET a = /* FROM secrets */ 1", "UPDATE users"),
        ("SELECT extract(year FROM now())", "SELECT"),
        ("SELECT id FROM users WHERE id = 1 FOR UPDATE", "SELECT users"),
        ("SELECT id FROM users WHERE id = 1 FOR NO KEY UPDATE OF users", "SELECT users"),
        ("WITH a AS (SELECT 1 FROM roles FOR UPDATE) UPDATE users SET a = 1", "UPDATE roles users"),
        ("SET LOCAL statement_timeout = 5", "SET"),
        ("", "-"),
    ],
)
def test_a_statement_is_called_by_what_it_does_to_which_tables(statement: str, summary: str) -> None:
    assert describe(statement)[0] == summary


def test_each_statement_of_the_code_is_called_by_tables_that_there_are(app: Flask) -> None:
    names = re.compile(rf"\b({'|'.join(db.metadata.tables)})\b")
    statements = [each._prepare_and_execute for each in gc.get_objects() if isinstance(each, PreparedStatement)]
    prepared = [each for each in statements if names.search(each)]  # those of other tests have no table of ours
    inserts = [str(insert(mapper.class_).compile(dialect=DIALECT)) for mapper in db.Model.registry.mappers]
    assert len(prepared) > 10
    for statement in (*prepared, *inserts):
        _, *tables = describe(statement)[0].split()
        assert tables, statement
        assert set(tables) <= db.metadata.tables.keys()
    assert {describe(each)[0] for each in inserts} == {f"INSERT {name}" for name in db.metadata.tables}


def test_a_table_of_a_schema_is_called_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = MetaData()
    Table("Notes", declared, schema="notes")
    monkeypatch.setattr(traced_cursor, "db", SimpleNamespace(metadata=declared))
    assert describe('SELECT a FROM notes."Notes" WHERE notes."Notes".a')[0] == "SELECT notes.Notes"


def test_a_statement_that_psycopg2_has_filled_with_values_is_called_a_batch(app: Flask, spans: Spans) -> None:
    with app.app_context(), a_request():
        cursor = db.session.connection().connection.cursor()
        execute_values(cursor, "SELECT * FROM (VALUES %s) AS given", [(SECRET,), (SECRET,)])
    assert spans.named("BATCH").attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "BATCH",
        "db.query.summary": "BATCH",
    }
    assert SECRET not in "".join(span.to_json() for span in spans.all())


def test_a_mail_continues_the_trace_of_its_request(app: Flask, spans: Spans, delivery: MailDelivery) -> None:
    a_user(app, "ada")
    with sdk.server_span("POST", CONTINUED, {}):
        add(address="ada@example.com")
    deliver(delivery)
    request = spans.named("POST")
    sent = spans.named("send reset_password")
    assert sent in spans.below(request)
    assert sent.kind is SpanKind.CONSUMER
    assert sent.get_span_context().trace_id == int(CONTINUED.split("-")[1], 16)
    assert sent.attributes == {"authapp.mail.kind": "reset_password", "authapp.mail.outcome": "sent"}
    assert "hand over mail" in [span.name for span in spans.below(sent)]
    assert "example.com" not in "".join(span.to_json() for span in spans.all())


def test_a_mail_without_a_traced_request_begins_a_trace(app: Flask, spans: Spans, delivery: MailDelivery) -> None:
    a_user(app, "ada")
    add(address="ada@example.com")
    deliver(delivery)
    assert spans.named("send reset_password").parent is None


def test_a_question_to_another_server_is_a_span_and_that_server_is_told_of_no_trace(
    spans: Spans,
) -> None:
    client = HTTPClient(at_once=1, max_bytes=100_000)
    with range_server() as server, a_request():
        client.fetch(HTTPRequest(f"{server.address}ABCDE?token={SECRET}"), 5)
        with pytest.raises(HTTPFailure):
            client.fetch(HTTPRequest("http://[bad"), 5)
        with pytest.raises(HTTPFailure):
            client.fetch(HTTPRequest("http://127.0.0.1:1/"), 5)
    answered, failed, request = spans.all()
    assert spans.below(request) == [answered, failed]
    assert answered.name == "GET"
    assert answered.attributes == {
        "http.request.method": "GET",
        "server.address": "localhost",
        "http.response.status_code": 200,
    }
    assert failed.attributes
    assert failed.attributes["error.type"] == "HTTPFailure"
    assert SECRET not in "".join(span.to_json() for span in spans.all())
    assert not {name.lower() for name in server.headers[0]} & {"traceparent", "tracestate", "baggage"}


def test_outside_a_request_statements_make_no_spans(app: Flask, spans: Spans) -> None:
    with app.app_context(), transaction():
        db.session.execute(text("SELECT 1"))
    assert spans.all() == []
