"""Any body, header or path whatever gets a 4xx in problem+json, never a 500."""

import gzip
import itertools
import json
import re
import time

import pytest
from flask import Flask

from factories import PASSWORD, Api, a_session, a_user, problem

LOGIN = "/auth/login"
DEEP = 100_000
VALID = {"username": "ada", "password": PASSWORD}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"username": "a", "password": "b"',
        b'{"username": "\\u0000", "password": "b"}',
        b'{"username": "a", "password": "\\ud800"}',
        b'{"\\u0000": 1}',
        b'{"username": NaN, "password": "b"}',
        b'{"username": -Infinity}',
        b'{"username": "a", "username": "b", "password": "c"}',
        b'{"username": {"x": 1, "x": 2}, "password": "c"}',
        b'{"username": "a", "password": ' + b"9" * 5_000 + b"}",
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"true",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        json.dumps(VALID).encode("utf-16"),
        json.dumps(VALID).encode("utf-32"),
        b'{"username": "\xc3\x28", "password": "b"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_one_sane_json_object_is_malformed(api: Api, body: bytes) -> None:
    problem(api("POST", LOGIN, data=body, content_type="application/json"), 400, "malformed_request")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json+x"},
        {"Content-Type": "\xff"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_another_media_type_is_unsupported(api: Api, headers: dict[str, str]) -> None:
    problem(api("POST", LOGIN, data=json.dumps(VALID), headers=headers), 415, "unsupported_media_type")


def test_a_compressed_body_is_not_inflated(api: Api) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = api("POST", LOGIN, data=bomb, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(("size", "status"), [(65_536, 401), (65_537, 413), (65_538, 413), (1_000_000, 413)])
def test_a_body_over_64_kib_is_refused(api: Api, size: int, status: int) -> None:
    body = json.dumps(VALID).ljust(size)
    response = api("POST", LOGIN, data=body, content_type="application/json")
    problem(response, status, "payload_too_large" if status == 413 else "invalid_credentials")


def test_ten_thousand_unknown_fields_get_an_answer_and_no_echo(api: Api) -> None:
    body = json.dumps({f"k{number}": 0 for number in range(5_000)})
    response = api("POST", LOGIN, data=body, content_type="application/json")
    assert len(problem(response, 422, "validation_failed")["errors"]) == 20
    long_name = problem(api.post(LOGIN, VALID | {"x" * 50_000: 1}), 422, "validation_failed")
    assert len(str(long_name)) < 1_000


COMBINING = "a" + "\u0300" * 16_000 + "\u0316" * 15_000
"""Normalising it whole takes a second, in which nothing else runs."""


@pytest.mark.parametrize(
    ("path", "field", "code"),
    [("/auth/login", "username", "invalid_credentials"), ("/auth/register", "email", "validation_failed")],
)
@pytest.mark.parametrize("suffix", ["", "@example.com"])
def test_a_name_longer_than_any_name_costs_nothing(api: Api, path: str, field: str, code: str, suffix: str) -> None:
    account = VALID if path == LOGIN else VALID | {"email": ""}
    body = json.dumps(account | {field: COMBINING + suffix}, ensure_ascii=False).encode()
    start = time.process_time()
    response = api("POST", path, data=body, content_type="application/json")
    assert time.process_time() - start < 0.5, "it takes over a second when the name is not cut"
    problem(response, 401 if path == LOGIN else 422, code)


@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, ["a"], {"a": "b"}, 10**40])
def test_a_value_of_the_wrong_type_is_named(api: Api, value: object) -> None:
    body = problem(api.post(LOGIN, VALID | {"username": value}), 422, "validation_failed")
    assert [error["pointer"] for error in body["errors"]] == ["#/username"]


@pytest.mark.parametrize("name", ["'; DROP TABLE users; --", "%", "_", "\\", "a" * 60_000, "🙂", "\r\nX: y", "ﬀ@x.com"])
def test_odd_names_are_just_wrong(api: Api, name: str) -> None:
    problem(api.log_in(name), 401, "invalid_credentials")


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/%ff%fe",
        "/..%2f..%2fetc/passwd",
        "/docs/../wsgi.py",
        "/docs/%2e%2e%2fwsgi.py",
        "/" + "a" * 4_000,
        "/\u00e9",
    ],
)
def test_an_odd_path_is_not_found(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not_found")
    problem(api.client.get(f"/problems{path[:100]}"), 404, "not_found")


@pytest.mark.parametrize(
    "token",
    [
        "." * 4_000,
        "x" * 8_000,
        "eyJ" * 1_000,
        "a.b.c",
        "e30.e30.e30",
        "null",
        "\u00e9",
        "{}",
        "-",
        "_" * 50,
        "a.b.c.d.e",
    ],
)
def test_an_odd_token_is_invalid(api: Api, token: str) -> None:
    header = f"Bearer {token}".encode().decode("latin-1")
    problem(api.get("/ping", headers={"Authorization": header}), 401, "token_invalid")


ODD_PARAMETERS = [
    "%00",
    "a%00",
    "%00a",
    "a" * 4_000,
    "%e2%82%ac" * 400,
    "%0d%0aX:%20y",
    "%ff%fe",
    "%ed%a0%80",
    "%25s",
    "%27%20OR%201=1%20--",
    "%5c",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%7f%c2%85%e2%80%ae",
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
]
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


def routes_with_a_parameter(app: Flask) -> list[str]:
    return sorted({rule.rule for rule in app.url_map.iter_rules() if rule.arguments})


@pytest.mark.parametrize("odd", ODD_PARAMETERS, ids=lambda odd: odd[:24])
def test_an_odd_parameter_is_no_accident_on_any_route(app: Flask, api: Api, odd: str) -> None:
    headers = {"Authorization": f"Bearer {a_session(app, a_user(app, roles=['admin'])).access_token}"}
    routes = routes_with_a_parameter(app)
    assert "/api/v1/roles/<name>" in routes
    for route, method in itertools.product(routes, METHODS):
        path = re.sub(r"<[^>]+>", lambda _: odd, route)
        # An empty object is a body that the views which read one get past, on to the database.
        answer = api.client.open(path, method=method, headers=headers, json=None if method == "GET" else {})
        assert answer.status_code < 500, (method, path[:60])
        is_verified = route.startswith("/api/v1/auth/verify/")  # whatever path another service may have
        assert answer.status_code >= 400 or method == "OPTIONS" or is_verified, (method, path[:60])


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "PROPFIND", "FOO"])
def test_an_odd_method_is_not_allowed(api: Api, method: str) -> None:
    problem(api(method, LOGIN), 405, "method_not_allowed")


def test_a_content_length_that_lies_is_no_accident(api: Api) -> None:
    response = api("POST", LOGIN, data=b"{}", headers={"Content-Length": "-1", "Content-Type": "application/json"})
    assert 400 <= response.status_code < 500
    assert response.content_type == "application/problem+json"


def test_a_route_without_parameters_ignores_its_query(app: Flask, api: Api) -> None:
    assert api.get("/ping?a=1&a=2", a_session(app, a_user(app)).access_token).status_code == 200
