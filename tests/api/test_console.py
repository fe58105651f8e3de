"""The console: who gets its page and its files, and what they are made of.

What it does in a browser is tested by ``tests/e2e/test_console.py``.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from authapp import create_app
from authapp.domain.audit import event_types
from authapp.domain.roles.permissions import permissions
from factories import Api, a_session, a_user, an_api_key
from settings import settings

STATIC = Path(__file__).parents[2] / "src" / "authapp" / "api" / "static" / "console"
FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*"))
NOWHERE = "postgresql+psycopg2:///nowhere"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def client_with(**changes: Any) -> FlaskClient:
    return create_app(settings(database_url=NOWHERE, **changes)).test_client()


def body_of(client: FlaskClient) -> str:
    (found,) = re.findall(r"<body [^>]*>", client.get("/console").text)
    return str(found)


def test_the_page_runs_only_the_scripts_of_this_server(client: FlaskClient) -> None:
    response = client.get("/console")

    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert not re.search(r"//|<style|style=|<script(?! type=\"module\" src=)|\son\w+=", response.text)


def test_what_the_page_loads_is_relative_so_that_it_works_below_a_path(client: FlaskClient) -> None:
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', client.get("/console").text)

    assert addresses == ["console/icon.svg", "console/console.css", "console/app.js"]
    for address in addresses:
        with client.get(f"/{address}") as response:
            assert response.status_code == 200


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served(client: FlaskClient, name: str) -> None:
    response = client.get(f"/console/{name}")

    assert response.data == (STATIC / name).read_bytes()
    assert response.mimetype in {"text/javascript", "application/javascript", "text/css"}


@pytest.mark.parametrize(
    "name", ["..", "../account.js", "..%2faccount.js", "page.html", "%00", "client", "client/", ""]
)
def test_no_other_file_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/console/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/console", "/console/app.js", "/console/client/index.js"])
def test_there_is_none_unless_it_is_switched_on(path: str) -> None:
    assert client_with(console="off").get(path).status_code == 404


def test_every_module_is_imported_and_every_import_is_there() -> None:
    imported = {
        (path.parent / name).resolve().relative_to(STATIC.resolve()).as_posix()
        for path in STATIC.rglob("*.js")
        for name in re.findall(r'^(?:import|export) .* from "(\..+)";$', path.read_text(), re.MULTILINE)
    }
    assert {name for name in FILES if name.endswith(".js")} == imported | {"app.js"}


def test_no_script_makes_html_of_text() -> None:
    pattern = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|\beval\("
    for path in STATIC.rglob("*.js"):
        assert not re.search(pattern, path.read_text()), path


def test_the_page_offers_every_type_of_event_and_every_permission(client: FlaskClient) -> None:
    text = client.get("/console").text

    assert re.findall(r"<option>([a-z_]+\.[a-z_]+)</option>", text) == sorted(event_types)
    assert re.findall(r'name="permissions" value="([^"]+)"', text) == sorted(permissions)


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ({}, ['data-cookie=""', "data-password-resets"]),
        ({"refresh_cookie": "on"}, ['data-cookie="https://auth.example.com"']),
        ({"refresh_cookie": "on", "issuer": "https://A.example:443/auth"}, ['data-cookie="https://a.example"']),
        ({}, ['data-passkeys="app.example.com example.co.uk"']),
    ],
)
def test_the_page_knows_what_the_service_has(changes: dict[str, Any], attributes: list[str]) -> None:
    body = body_of(client_with(**changes))
    assert [attribute for attribute in attributes if attribute not in body] == []


def test_without_mail_no_reset_of_a_password_is_offered() -> None:
    body = body_of(client_with(mail_url=None, origins=None, rp_id=None))
    assert "resets" not in body
    assert 'data-passkeys=""' in body


def test_the_page_is_at_most_100_kb_with_all_that_it_loads(client: FlaskClient) -> None:
    assert sum((STATIC / name).stat().st_size for name in FILES) + len(client.get("/console").data) < 100_000


def test_a_user_is_told_what_the_credential_allows(app: Flask, api: Api) -> None:
    user = a_user(app, "root", roles=["admin"])
    token = a_session(app, user).access_token
    assert api.get("/users/me", token).get_json()["permissions"] == sorted(permissions)
    renamed = api("PATCH", "/users/me", token, json={"username": "boss"}).get_json()
    assert (renamed["username"], renamed["permissions"]) == ("boss", sorted(permissions))
    key = an_api_key(app, user, permissions=["users:read"])
    assert api.get("/users/me", key).get_json()["permissions"] == ["users:read"]
    assert api.get("/users/me", a_session(app, a_user(app)).access_token).get_json()["permissions"] == []
