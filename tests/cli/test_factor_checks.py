"""What ``flask doctor`` says of factors that accounts have, and that the settings do not allow any more."""

import pytest
from flask import Flask

from authapp.cli.checks import CheckLevel, run_checks
from authapp.domain.services import Services
from authenticator import add_passkey
from conftest import reconfigured
from factories import Api, a_session, a_user
from factors import an_app

WITHOUT_ORIGINS = {"origins": None, "rp_id": None}


def levels(app: Flask) -> dict[str, CheckLevel]:
    with app.app_context():
        return {result.subject: result.level for result in run_checks(Services.of(app))}


def test_passkeys_that_are_not_accepted_any_more_are_warned_of(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_passkey(api, a_session(app, a_user(app)).access_token)
    assert "passkeys" not in levels(app)
    reconfigured(app, monkeypatch, **WITHOUT_ORIGINS)
    assert levels(app)["passkeys"] is CheckLevel.WARN


def test_a_service_without_passkeys_needs_no_origins(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch, **WITHOUT_ORIGINS)
    assert "passkeys" not in levels(app)


def test_with_neither_setting_both_kinds_are_missed(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = a_user(app)
    add_passkey(api, a_session(app, user).access_token)
    an_app(app, user)
    reconfigured(app, monkeypatch, encryption_keys=None, **WITHOUT_ORIGINS)
    found = levels(app)
    assert (found["encryption keys"], found["passkeys"]) == (CheckLevel.FAIL, CheckLevel.WARN)
