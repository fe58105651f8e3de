"""Open lists of named values: a name is right, registered once, and registered before it is used."""

import pytest

from authapp import database_metrics, event_types, password_checks, permissions, rate_limits, token_claims
from authapp.domain.pruning import prunables
from authapp.domain.throttle_scopes import second_factor_scopes, throttle_scopes
from authapp.registry import Registry


@pytest.fixture
def colours() -> Registry[str | None]:
    return Registry("colour", r"[a-z]{1,8}", "use 1 to 8 of a-z.")


def test_what_is_registered_is_there_in_order(colours: Registry[str | None]) -> None:
    assert colours.register("red", "#f00") == "red"
    colours.register("blue", "#00f")
    assert (list(colours), colours.names) == (["red", "blue"], ["red", "blue"])
    assert list(colours.items()) == [("red", "#f00"), ("blue", "#00f")]
    assert colours["red"] == "#f00"
    assert "red" in colours
    assert "green" not in colours
    assert 7 not in colours


@pytest.mark.parametrize("name", ["", "Red", "red ", "red\n", "much-too-long", "r\u00e9d", "re:d"])
def test_a_name_that_breaks_the_rule_is_refused_with_the_rule(colours: Registry[str | None], name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot name a colour: use 1 to 8 of a-z\."):
        colours.register(name, "#f00")
    assert colours.names == []


def test_the_same_pair_may_be_registered_again_and_no_other(colours: Registry[str | None]) -> None:
    """A module may be imported twice, under two names; two modules that mean different things must not share one."""
    colours.register("red", "#f00")
    colours.register("red", "#f00")
    with pytest.raises(ValueError, match="There is a colour 'red' already"):
        colours.register("red", "#e00")
    assert list(colours.items()) == [("red", "#f00")]
    assert colours.names == ["red"]


def test_what_is_not_registered_raises_and_says_what_there_is(colours: Registry[str | None]) -> None:
    colours.register("red", "#f00")
    with pytest.raises(KeyError, match=r"no colour 'green': register it before it is used\. There are: red"):
        colours["green"]


@pytest.mark.parametrize("value", ["#f00", None, ""])
def test_what_is_unregistered_is_gone(colours: Registry[str | None], value: str | None) -> None:
    names = colours.names
    colours.register("red", value)
    colours.unregister("red")
    colours.unregister("red")
    assert ("red" in colours, list(colours.items()), list(colours)) == (False, [], [])
    colours.register("red", "#e00")
    assert colours.names is names, "a document may hold the list"
    assert names == ["red"]


@pytest.mark.parametrize(
    ("registry", "good", "bad"),
    [
        (
            permissions,
            "notes:read",
            ["notes", "notes:", ":read", "Notes:read", "notes:read:all", "notes read", "a:b\n"],
        ),
        (event_types, "note.created", ["note", "note.", ".created", "Note.created", "note.created.twice", "note-x.y"]),
        (rate_limits, "report", ["default", "storage", "Export", "ex-port", "9lives", "", "e" * 41, "export\n"]),
        (prunables, "notes", ["", "Notes", "no tes", "1st", "n" * 64, "notes\n"]),
        (database_metrics, "notes", ["", "Notes", "no tes", "1st", "n" * 41, "notes\n"]),
        (throttle_scopes, "pin", ["", "Pin", "p-in", "1st", "p" * 41, "pin\n"]),
        (password_checks, "pwned", ["", "Pwned", "no spaces", "x" * 41, "1st"]),
        (
            token_claims,
            "notes:plan",
            [
                "plan",
                "sub",
                "amr",
                "exp",
                ":plan",
                "notes:",
                "notes:a b",
                "notes:\n",
                "1:x",
                "x" * 32 + ":plan",
                "n:\0",
            ],
        ),
    ],
    ids=[
        "permissions",
        "event types",
        "rate limits",
        "prunables",
        "readings",
        "scopes",
        "password checks",
        "token claims",
    ],
)
def test_each_registry_has_its_rule(registry: Registry[object], good: str, bad: list[str]) -> None:
    for name in bad:
        with pytest.raises(ValueError, match="cannot name a"):
            registry.register(name, len)
        assert name not in registry
    try:
        assert registry.register(good, len) == good
    finally:
        registry.unregister(good)
    assert good not in registry


def test_a_claim_may_be_named_by_a_url() -> None:
    name = "https://example.com/claims/plan"
    try:
        assert token_claims.register(name, lambda *_: None) == name
    finally:
        token_claims.unregister(name)


def test_what_the_package_registers_itself_is_there() -> None:
    assert list(rate_limits) == ["login", "register", "refresh", "password", "api_key", "export", "mail"]
    assert second_factor_scopes() == ["second_factor"]
    assert list(password_checks) == ["length", "common", "names"]
    assert "admin" not in permissions
    assert list(token_claims) == []
    tables = {"address_limits", "api_keys", "one_time_tokens", "outgoing_mail", "roles", "sessions"}
    tables |= {"foreign_hash_marks", "pending_logins", "used_challenges", "token_blocklist", "totp_factors"}
    assert set(prunables) == tables
    assert all(sentence.endswith((".", ").")) for _, sentence in [*permissions.items(), *event_types.items()])
