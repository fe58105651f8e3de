"""The pages to which links in mails lead: which there are, what they are made of, and who may replace their words.

What they do in a browser is tested by ``tests/e2e/test_account_pages.py``.
"""

import re
from datetime import timedelta
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from authapp import create_app
from authapp.config import SettingsError
from authapp.domain.email.factor_undo import UNDO_WINDOW
from authapp.domain.token_purposes import PurposeRule, token_purposes
from settings import settings

PAGES = ["verify-email", "reset-password", "change-email", "undo-email", "undo-factors", "login"]
NOWHERE = "postgresql+psycopg2:///nowhere"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def client_with(**changes: Any) -> FlaskClient:
    return create_app(settings(database_url=NOWHERE, **changes)).test_client()


def pages_of(client: FlaskClient) -> list[str]:
    return [name for name in PAGES if client.get(f"/account/{name}").status_code == 200]


def test_each_purpose_of_a_one_time_token_has_a_page(client: FlaskClient) -> None:
    assert sorted(PAGES) == sorted(purpose.replace("_", "-") for purpose in token_purposes)
    assert pages_of(client) == PAGES


def test_the_page_that_removes_factors_says_of_how_many_days(client: FlaskClient) -> None:
    assert f"in the last {UNDO_WINDOW.days}\ndays" in client.get("/account/undo-factors").text


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_only_the_scripts_of_this_server_and_tells_nobody_its_address(
    client: FlaskClient, name: str
) -> None:
    response = client.get(f"/account/{name}")

    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert not re.search(r"//|<style|style=|<script(?! src=)|\son\w+=", response.text)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_loads_and_calls_is_relative_so_that_it_works_below_a_path(client: FlaskClient, name: str) -> None:
    text = client.get(f"/account/{name}").text

    addresses = re.findall(r'(?:href|src|data-api|data-path)="([^"]+)"', text)
    assert "../api/v1/" in addresses
    assert not [address for address in addresses if address.startswith("/")]
    assets = [address for address in addresses if address.startswith("assets/")]
    assert len(assets) == 3
    for asset in assets:
        with client.get(f"/account/{asset}") as response:
            assert response.status_code == 200
            assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["..", "../html.py", "..%2fhtml.py", "account.html", "%00", "%5c..%5chtml.py", ""])
def test_no_other_file_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/account/assets/{name}").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"mail_url": None}, {"link_url": "https://app.example.com/{purpose}#token={token}"}]
)
def test_without_mail_or_with_links_to_elsewhere_there_are_no_pages(changes: dict[str, Any]) -> None:
    client = client_with(**changes)

    assert pages_of(client) == []
    assert client.get("/account/assets/account.js").status_code == 404


def test_without_login_links_there_is_no_page_to_log_in() -> None:
    assert pages_of(client_with(login_links="off")) == [name for name in PAGES if name != "login"]


@pytest.mark.parametrize(("path", "served"), [("/account/login", True), ("/elsewhere", False)])
def test_a_provider_that_sends_users_back_to_it_brings_the_page_to_log_in(path: str, served: bool) -> None:
    client = client_with(
        login_links="off",
        redirect_uris=(f"https://auth.example.com{path}",),
    )

    response = client.get("/account/login")
    assert response.status_code == (200 if served else 404)
    assert ("auth/login-links" in response.text, 'data-provider="example"' in response.text) == (False, served)


def test_a_purpose_of_others_has_a_page_if_there_is_a_template(tmp_path: Path) -> None:
    token_purposes.register("join_team", PurposeRule(timedelta(days=7)))
    try:
        assert client_with().get("/account/join-team").status_code == 404
        (tmp_path / "account").mkdir()
        (tmp_path / "account" / "join-team.html").write_text("<main>{{ service }}</main>")
        assert client_with(mail_templates=tmp_path).get("/account/join-team").text == "<main>Example accounts</main>"
    finally:
        token_purposes.unregister("join_team")


def test_a_password_is_asked_for_to_verify_only_where_verification_is_required(client: FlaskClient) -> None:
    required = client_with(email_verification="required")

    assert 'autocomplete="current-password"' in required.get("/account/verify-email").text
    assert 'type="password"' not in client.get("/account/verify-email").text


def test_a_new_address_is_confirmed_with_the_password_in_every_mode(client: FlaskClient) -> None:
    for each in (client, client_with(email_verification="required"), client_with(email_verification="off")):
        assert 'autocomplete="current-password"' in each.get("/account/change-email").text
        assert 'type="password"' not in each.get("/account/undo-email").text


def test_the_page_has_the_name_of_the_sender_escaped(client: FlaskClient) -> None:
    assert "<header>Example accounts</header>" in client.get("/account/login").text
    hostile = client_with(mail_from=Address("A & <b>", "no-reply", "example.com"))
    assert "<header>A &amp; &lt;b&gt;</header>" in hostile.get("/account/login").text
    nameless = client_with(mail_from=Address("", "no-reply", "example.com"))
    assert "<header>example.com</header>" in nameless.get("/account/login").text


def test_a_folder_of_templates_replaces_the_words(tmp_path: Path) -> None:
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "change-email.html").write_text(
        '{% extends "account/base.html" %}{% block lang %}de{% endblock %}'
        "{% block title %}Neue Adresse{% endblock %}{% block steps %}<main>{{ service }}</main>{% endblock %}"
    )
    client = client_with(mail_templates=tmp_path)

    text = client.get("/account/change-email").text
    assert '<html lang="de">' in text
    assert "<title>Neue Adresse · Example accounts</title>" in text
    assert "Confirm your email address" in client.get("/account/verify-email").text


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}",
        "{{ service + 1 }}",
        "{% block %}",
        "{{ nothing }}",
        "{% include 'account/none.html' %}",
        "{{ ''.__class__.__mro__ }}",
        "\udcff",
    ],
)
def test_a_template_that_cannot_be_used_stops_the_start_and_is_named(template: str, tmp_path: Path) -> None:
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "login.html").write_text(template, errors="surrogateescape")

    with pytest.raises(SettingsError, match=r"AUTHAPP_MAIL_TEMPLATES: account/login\.html: "):
        client_with(mail_templates=tmp_path)


def test_every_page_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "account-pages.md").read_text()
    assert set(re.findall(r"^\| `/account/([a-z-]+)`", text, re.MULTILINE)) == set(PAGES)
    for sentence in (r"The purposes are ([^.]+)\. Your", r"\| ([^|]+) \| the steps of one page \|"):
        (names,) = re.findall(sentence, text)
        assert {name.removesuffix(".html") for name in re.findall(r"`([a-z.-]+)`", names)} == set(PAGES)


def test_an_undo_says_that_the_password_is_void(client: FlaskClient) -> None:
    """It is voided with the change, so that who reads the page cannot choose another one without the mail."""
    undone = client.get("/account/undo-email").text.partition('id="undone"')[2].partition("</section>")[0]
    assert "Your password is void and everybody is logged out. A mail to this address has a link" in undone


@pytest.mark.parametrize(
    ("redirect_uris", "hosts"),
    [
        (("https://app.example.com/callback",), None),
        (("https://a.example/account/login", "https://b.example:8443/auth/account/login"), "a.example b.example:8443"),
    ],
)
def test_providers_are_offered_where_they_may_send_users_back_to(
    redirect_uris: tuple[str, ...], hosts: str | None
) -> None:
    text = client_with(redirect_uris=redirect_uris).get("/account/login").text
    assert re.findall(r'data-provider="(\w+)" data-hosts="([^"]+)"', text) == ([("example", hosts)] if hosts else [])
    assert ("Log in with example" in text) == bool(hosts)


def test_without_providers_none_is_offered() -> None:
    text = client_with(providers=None, redirect_uris=("https://a.example/account/login",)).get("/account/login").text
    assert "data-provider" not in text
    assert 'id="returned"' not in text
