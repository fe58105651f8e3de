"""The settings in the documentation, held against the code."""

import dataclasses
import os
import re

import pytest

from authapp.config import RateLimit, SettingsError
from authapp.extension import load_settings
from doc_pages import TEXTS, VARIABLES, rows

GENERAL = ["DEFAULT", "STORAGE"]
"""The settings of Flask-Limiter's limits."""


def documented_settings() -> dict[str, list[str]]:
    """Return meaning, default and range of each variable in docs/configuration.md."""
    text = TEXTS["docs/configuration.md"]
    return {row[0].strip("`"): row[1:] for row in rows(text) if row[0].startswith("`AUTHAPP_")}


def test_every_setting_is_documented_and_no_other() -> None:
    assert documented_settings().keys() == VARIABLES.keys()


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_settings_documented_default_is_its_default(variable: str) -> None:
    _, default, _ = documented_settings()[variable]
    field = VARIABLES[variable]
    if field.default is dataclasses.MISSING:
        assert default.startswith("required; development: ")
    elif field.default == "":
        assert default == "empty"
    elif field.default is None:
        assert default.startswith("none")
    else:
        value = re.match(r"`([^`]+)`", default)
        assert value, default
        assert value[1] == written(field.default)


def written(default: object) -> str:
    """Return a default as it is written into the environment."""
    if isinstance(default, RateLimit):
        return f"{default.amount}/{ {60: 'minute', 3600: 'hour', 86_400: 'day'}[default.seconds] }"
    return str(default)


def test_operators_read_about_every_limit() -> None:
    section = TEXTS["docs/operations.md"].partition("\n## Limits\n")[2].partition("\n## ")[0]
    limits = {name for name in VARIABLES if "RATE_LIMIT" in name} - {f"AUTHAPP_RATE_LIMIT_{of}" for of in GENERAL}
    assert {name for name in limits if f"`{name}`" not in section} == set()


@pytest.mark.parametrize("variable", ["ENV", "REGISTRATION", "LOG_LEVEL", "LOG_HEALTH_PROBES", "END_ORPHANED_BACKENDS"])
def test_a_settings_documented_words_are_those_that_are_accepted(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, words = documented_settings()[f"AUTHAPP_{variable}"]
    expected = words.replace("`", "")
    assert f"AUTHAPP_{variable} must be one of: {expected}." in problems_with(
        monkeypatch, f"AUTHAPP_{variable}", "neither"
    )


@pytest.mark.parametrize("variable", [name for name, field in VARIABLES.items() if field.type in (int, float)])
@pytest.mark.parametrize("value", ["-1", "99999999999"])
def test_a_settings_documented_range_is_its_range(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, bounds = documented_settings()[variable]
    accepted = bounds.partition(";")[0]
    assert f"{variable} must be from {accepted}." in problems_with(monkeypatch, variable, value)


def problems_with(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> tuple[str, ...]:
    """Return what the start says in production when ``variable`` is all that is set."""
    clear_settings(monkeypatch)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    return error.value.problems


def clear_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AUTHAPP_", "DATABASE_URL")):
            monkeypatch.delenv(name)


def test_the_required_settings_are_those_that_the_readme_names(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [problem.split()[0] for problem in problems_with(monkeypatch, "AUTHAPP_LEEWAY", "5")]
    assert ", ".join(f"`{name}`" for name in missing[:-1]) + f" and `{missing[-1]}` are required" in " ".join(
        TEXTS["README.md"].split()
    )
