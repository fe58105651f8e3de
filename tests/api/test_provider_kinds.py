"""A kind of provider that somebody else registers, from a file of theirs alone: the club of docs/extending.md."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authapp import ProviderResponseRefused, ProviderSettings, ProviderUser, provider_kinds
from authapp.config import SettingsError
from authapp.database.session import db
from authapp.factory import create_app
from authapp.models import ProviderIdentity
from conftest import reconfigured
from factories import Api, all_events, problem
from providers import LOGINS, FakeProvider, begin, fake_provider, finish, log_in, respond
from settings import settings

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"
MEMBER = {"number": 4711, "name": "ada", "email": "ada@example.org"}


@pytest.fixture
def provider(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    (example,) = re.findall(r"<!-- example: club.py -->\n```python\n(.*?)```", EXTENDING.read_text(), re.DOTALL)
    exec(example, {})
    with fake_provider() as made:
        reconfigured(app, monkeypatch, providers={"example": made.settings(kind="club")})
        member(made, MEMBER)
        yield made
    provider_kinds.unregister("club")


def member(provider: FakeProvider, content: dict[str, Any]) -> None:
    provider.lies.answers["/me"] = lambda handler: respond(handler, content)


def test_it_logs_in(app: Flask, api: Api, provider: FakeProvider) -> None:
    begun = begin(api)
    assert "scope=membership" in begun["authorization_url"]
    response = api("PUT", LOGINS, json=finish(provider, begun))
    assert response.status_code == 201
    assert api.get("/users/me", response.json["access_token"]).json["username"] == "ada"
    with app.app_context():
        assert db.session.query(ProviderIdentity.subject).scalar() == "4711"


@pytest.mark.parametrize("number", [{}, {"number": True}], ids=str)
def test_what_it_refuses_is_recorded_and_not_told(
    app: Flask, api: Api, provider: FakeProvider, number: dict[str, Any]
) -> None:
    member(provider, {"name": "ada", **number})
    body = problem(log_in(api, provider), 401, "provider_login_failed")
    assert "number" not in str(body)
    assert [event.details["reason"] for event in all_events(app, "provider.refused")] == ["the member has no number"]


def test_what_it_quotes_of_its_provider_is_recorded_as_printable(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> ProviderUser:
        raise ProviderResponseRefused("no member \0\udcff")

    monkeypatch.setattr("authapp.ProviderUser.__post_init__", refuse)
    problem(log_in(api, provider), 401, "provider_login_failed")
    assert [event.details["reason"] for event in all_events(app, "provider.refused")] == ["no member ??"]


def test_the_other_rules_hold_for_it(api: Api, provider: FakeProvider) -> None:
    answer = finish(provider, begin(api))
    problem(api("PUT", LOGINS, json={**answer, "state": "another"}), 401, "provider_login_failed")
    provider.lies.answers["/me"] = lambda handler: respond(handler, MEMBER, 302, Location="/elsewhere")
    problem(api("PUT", LOGINS, json=answer), 503, "provider_unavailable")


def test_a_kind_that_nobody_registered_stops_the_start() -> None:
    unknown = ProviderSettings(name="example", issuer="https://op.example", client_id="x", kind="club")
    with pytest.raises(SettingsError, match="kinds that are not registered: club"):
        create_app(settings(database_url="postgresql+psycopg2:///nowhere", providers={"example": unknown}))


@pytest.mark.parametrize("subject", [None, 4711, True, "", "a\0b", "a\nb", "x" * 256], ids=repr)
def test_a_kind_cannot_name_a_user_who_could_not_be_stored(subject: Any) -> None:
    with pytest.raises(ProviderResponseRefused):
        ProviderUser(subject=subject)
    assert ProviderUser(subject="x" * 255)
