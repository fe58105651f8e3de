"""What ``flask doctor`` says of providers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from authapp import clock
from authapp.cli.checks import CheckLevel, providers
from authapp.domain.services import Services
from conftest import reconfigured
from factories import Api
from providers import JWKS, FakeProvider, fake_provider, log_in, respond


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as made:
        yield made


def reachable(app: Flask, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider, **changes: Any) -> list[CheckLevel]:
    reconfigured(app, monkeypatch, providers={"example": provider.settings(**changes)})
    with app.app_context():
        return [result.level for result in providers.reachable(Services.of(app))]


def test_a_provider_that_answers_is_in_order(
    app: Flask, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider
) -> None:
    assert reachable(app, monkeypatch, provider) == [CheckLevel.OK]
    provider.lies.metadata = {"issuer": "https://another.example"}
    assert reachable(app, monkeypatch, provider) == [CheckLevel.FAIL]


def test_keys_that_cannot_be_read_are_reported(
    app: Flask, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider
) -> None:
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {}, 404)
    assert reachable(app, monkeypatch, provider) == [CheckLevel.FAIL]


@pytest.mark.parametrize(
    ("days", "level"), [(60, CheckLevel.OK), (20, CheckLevel.WARN), (0, CheckLevel.FAIL), (-1, CheckLevel.FAIL)]
)
def test_a_client_secret_that_expires_is_told_before(
    app: Flask, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider, days: int, level: CheckLevel
) -> None:
    expires = clock.now().date() + timedelta(days=days)
    assert reachable(app, monkeypatch, provider, secret_expires=expires) == [CheckLevel.OK, level]


def test_accounts_of_a_provider_that_is_gone_are_warned_of(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider
) -> None:
    reachable(app, monkeypatch, provider)
    assert log_in(api, provider).status_code == 201
    with app.app_context():
        assert not list(providers.configured(Services.of(app)))
    reconfigured(app, monkeypatch, providers={"renamed": provider.settings()})
    with app.app_context():
        assert not list(providers.configured(Services.of(app)))
    reconfigured(app, monkeypatch, providers=None)
    with app.app_context():
        assert [each.level for each in providers.configured(Services.of(app))] == [CheckLevel.WARN]


def test_what_is_not_https_is_warned_of_in_production(
    app: Flask, monkeypatch: pytest.MonkeyPatch, provider: FakeProvider
) -> None:
    local = {"providers": {"example": provider.settings()}, "redirect_uris": ("http://localhost:3000/cb",)}
    good = {
        "providers": {"example": provider.settings(issuer="https://op.example.org")},
        "redirect_uris": ("https://x/",),
    }
    for changes, number in ((local, 2), (good, 0), ({**local, "env": "development"}, 0)):
        reconfigured(app, monkeypatch, **changes)
        with app.app_context():
            assert [each.level for each in providers.plain_http(Services.of(app))] == [CheckLevel.WARN] * number
