"""Kinds of factors that would lock their owners out, or hide each other, are refused when they are registered."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import false

from authapp import CodeRules, FactorKind, Prover, SecondStep, create_app, factor_kinds
from authapp.config import SettingsError
from authapp.domain.factors.enrolled import EnrolledFactors
from authapp.domain.services import Services
from settings import settings

STEP = SecondStep(prover=lambda _tools: Prover(lambda _attempt, _context: ()), codes=CodeRules())
DELETED: dict[str, Any] = {"delete": lambda _user_id, _since: 0}


@pytest.mark.parametrize("step", [STEP, replace(STEP, is_replacement=True)])
def test_what_a_login_asks_for_can_be_deleted(step: SecondStep) -> None:
    with pytest.raises(ValueError, match="needs a delete"):
        FactorKind(state=false(), second_step=step)
    FactorKind(state=false(), second_step=step, **DELETED)


@pytest.mark.parametrize(("name", "member"), [("badge", "passkeys"), ("passkeys", None), ("badge", "password")])
def test_no_two_kinds_have_the_same_member(name: str, member: str | None) -> None:
    with pytest.raises(ValueError, match="with the member"):
        factor_kinds.register(name, FactorKind(state=false(), member=member))
    assert name not in factor_kinds


@pytest.mark.parametrize("name", ["all", "added_lately", "code", "Badge"])
def test_a_kind_is_not_named_as_a_reset_or_a_code_is(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a kind of factor"):
        factor_kinds.register(name, FactorKind(state=false()))
    assert name not in factor_kinds


def test_a_second_factor_of_another_package_is_one_that_roles_can_require() -> None:
    without: dict[str, Any] = {
        "encryption_keys": None,
        "origins": None,
        "rp_id": None,
        "database_url": "postgresql+psycopg2://localhost/none",
    }
    required = {**without, "second_factor_required_roles": {"admin"}}
    with pytest.raises(SettingsError, match="SECOND_FACTOR_REQUIRED_ROLES needs AUTHAPP_ENCRYPTION_KEYS or"):
        create_app(settings(**required))
    factor_kinds.register("badge", FactorKind(state=false(), second_step=STEP, **DELETED))
    try:
        app = create_app(settings(**required))
        assert list(Services.of(app).factors.offered) == ["badge"]
    finally:
        factor_kinds.unregister("badge")


def test_only_what_can_start_a_session_with_these_settings_is_a_way_in() -> None:
    factor_kinds.register("badge", FactorKind(state=false(), ways_in=lambda _time, _settings: 1))
    try:
        issuers = ["https://op.invalid", "https://gone.example"]
        enrolled = EnrolledFactors({"password": True, "passkey": 2, "provider": issuers, "badge": datetime.now(UTC)})
        assert enrolled.ways_in(settings(database_url="")) == 1 + 2 + 1 + 1
        assert enrolled.ways_in(settings(database_url="", origins=None, rp_id=None)) == 1 + 0 + 1 + 1
        assert enrolled.ways_in(settings(database_url="", providers=None, redirect_uris=None)) == 1 + 2 + 0 + 1
        nothing = EnrolledFactors({"password": False, "passkey": 0, "provider": [], "badge": None})
        assert nothing.ways_in(settings(database_url="")) == 0
    finally:
        factor_kinds.unregister("badge")


def test_kinds_are_in_the_order_of_their_positions_whoever_is_registered_first() -> None:
    assert list(factor_kinds) == ["password", "totp", "passkey", "recovery_code", "provider"]
    factor_kinds.register("badge", FactorKind(state=false(), position=25))
    factor_kinds.register("pager", FactorKind(state=false()))
    try:
        assert list(factor_kinds) == ["password", "totp", "badge", "passkey", "recovery_code", "provider", "pager"]
    finally:
        factor_kinds.unregister("badge")
        factor_kinds.unregister("pager")
