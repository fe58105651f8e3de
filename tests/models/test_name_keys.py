"""When two names are the same name: letter case, spellings of one letter, and the domain as DNS compares it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from authapp.models.user import email_key, folded, lookup_key
from databases import ROOT, Databases
from e2e.processes import environment, flask
from factories import PASSWORD, Api, a_user, problem

SAME = [
    ("Ada@Example.com", "ada@example.COM"),
    ("\u00e9@example.com", "E\u0301@example.com"),
    ("x@xn--mnchen-3ya.de", "X@M\u00dcNCHEN.DE"),
    ("x@xn--strae-oqa.de", "x@stra\u00dfe.de"),
    ("x@\uff45xample.com", "x@example.com"),
    ("x@\u039f\u0394\u039f\u03a3.gr", "x@\u03bf\u03b4\u03bf\u03c3.gr"),
]
DIFFERENT = [
    ("gross@example.com", "gro\u00df@example.com"),
    ("x@strasse.de", "x@stra\u00dfe.de"),
    ("x@\u03bf\u03b4\u03bf\u03c3.gr", "x@\u03bf\u03b4\u03bf\u03c2.gr"),
    ("fi@example.com", "\ufb01@example.com"),
    ("s@example.com", "\u017f@example.com"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_address_are_one_account(app: Flask, api: Api, one: str, other: str) -> None:
    a_user(app, "one", email=one)
    account = {"username": "other", "email": other, "password": PASSWORD}
    problem(api.post("/auth/register", account), 409, "email_taken")
    assert api.log_in(other).status_code == 200


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_addresses_are_two_accounts(app: Flask, api: Api, one: str, other: str) -> None:
    a_user(app, "one", email=one)
    problem(api.log_in(other), 401, "invalid_credentials")
    account = {"username": "other", "email": other, "password": f"{PASSWORD}, too"}
    assert api.post("/auth/register", account).status_code == 201
    assert api.log_in(other, f"{PASSWORD}, too").status_code == 200
    assert api.log_in(one).status_code == 200
    problem(api.log_in(one, f"{PASSWORD}, too"), 401, "invalid_credentials")


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u00a0", "\u3000"])
@pytest.mark.parametrize("name", ["Ada", "ada@example.com"])
def test_blanks_around_a_name_do_not_matter_at_login(app: Flask, api: Api, name: str, blank: str) -> None:
    a_user(app, "Ada")
    for typed in (name + blank, blank + name, blank + name + blank):
        assert api.log_in(typed).status_code == 200, typed


def test_every_letter_has_one_key() -> None:
    assert [letter for letter in map(chr, range(0x110000)) if folded(folded(letter)) != folded(letter)] == []


@pytest.mark.parametrize("name", ["@", "", "x@", "x@.", "x@\u2603.net", "x@" + "\u00e9" * 300, "\ud800@\ud800.\u00e9"])
def test_what_is_no_address_has_a_key_too(name: str) -> None:
    assert lookup_key(name) == lookup_key(lookup_key(name))
    assert len(email_key(name)) <= 255


def test_a_search_finds_an_address_by_its_start_in_any_spelling(app: Flask, api: Api) -> None:
    a_user(app, "admin", roles=["admin"])
    token = api.log_in("admin").get_json()["access_token"]
    a_user(app, "one", email="x@stra\u00dfe.de")
    for start in ("X@", "x@STRA\u00dfE", "x@xn--strae-oqa.de", "x@stra\u00dfe.d"):
        found = api.get("/users", token, query_string={"q": start}).get_json()["items"]
        assert [user["username"] for user in found] == ["one"], start
    assert api.get("/users", token, query_string={"q": "x@strasse"}).get_json()["items"] == []


BEFORE: str = ScriptDirectory(str(ROOT / "migrations")).get_revision("0006").down_revision
INSERT = text(
    "INSERT INTO users (id, username, username_key, email, email_key, status, created_at, updated_at)"
    " VALUES (:id, :username, :username_key, :email, :email_key, 'active', now(), now())"
)
KEYS = text("SELECT username, username_key, email_key FROM users ORDER BY username")


def insert(engine: Engine, username: str, email: str, email_key: str | None = None) -> None:
    """Insert an account as the version before did, which case-folded names."""
    keys = {"username_key": username.casefold(), "email_key": email_key or email.casefold()}
    with engine.begin() as connection:
        connection.execute(INSERT, {"id": uuid4(), "username": username, "email": email, **keys})


def keys(engine: Engine) -> list[tuple[str, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(KEYS)]


@pytest.fixture
def before(databases: Databases) -> Iterator[tuple[str, Engine]]:
    """A database at the migration before."""
    with databases.empty() as url:
        engine = create_engine(url)
        assert flask(environment(url), "db", "upgrade", BEFORE).returncode == 0
        yield url, engine
        engine.dispose()


def test_the_migration_rewrites_the_keys_that_differ_and_no_others(before: tuple[str, Engine]) -> None:
    url, engine = before
    insert(engine, "Ada", "Ada@Example.com")
    insert(engine, "bob", "gro\u00df@stra\u00dfe.de")
    insert(engine, "carol", "x@xn--mnchen-3ya.de")
    insert(engine, "dora", "\u00e9@m\u00fcnchen.de")
    insert(engine, "ma\u00df", "mass@example.com")  # brought from elsewhere
    old = keys(engine)
    assert flask(environment(url), "db", "upgrade", "0006").returncode == 0
    assert keys(engine) == [
        ("Ada", "ada", "ada@example.com"),
        ("bob", "bob", "gro\u00df@stra\u00dfe.de"),
        ("carol", "carol", "x@m\u00fcnchen.de"),
        ("dora", "dora", "\u00e9@m\u00fcnchen.de"),
        ("ma\u00df", "ma\u00df", "mass@example.com"),
    ]
    insert(engine, "erik", "gross@stra\u00dfe.de", "gross@stra\u00dfe.de")
    refused = flask(environment(url), "db", "downgrade", BEFORE)
    assert refused.returncode == 1
    assert "email gross@strasse.de: accounts " in refused.stderr
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM users WHERE username = 'erik'"))
    assert flask(environment(url), "db", "downgrade", BEFORE).returncode == 0
    assert keys(engine) == old


def test_the_migration_reports_clashes_and_changes_nothing(before: tuple[str, Engine]) -> None:
    url, engine = before
    insert(engine, "ada", "x@m\u00fcnchen.de")
    insert(engine, "bob", "x@xn--mnchen-3ya.de")
    insert(engine, "carol", "gro\u00df@example.com")
    old = keys(engine)
    refused = flask(environment(url), "db", "upgrade")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    for words in ("1 names", "email x@m\u00fcnchen.de: accounts ", "Nothing has been changed", "flask users delete"):
        assert words in refused.stderr
    assert keys(engine) == old
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM users WHERE username = 'bob'"))
    assert flask(environment(url), "db", "upgrade").returncode == 0
    assert ("carol", "carol", "gro\u00df@example.com") in keys(engine)


def test_the_migration_hands_a_key_on_that_another_account_gives_up(before: tuple[str, Engine]) -> None:
    url, engine = before
    insert(engine, "ada", "ss@xn--mnchen-3ya.de")  # gets what bob has
    insert(engine, "bob", "\u00df@m\u00fcnchen.de")
    old = keys(engine)
    assert old[1][2] == "ss@m\u00fcnchen.de"
    migrated = flask(environment(url), "db", "upgrade", "0006")
    assert migrated.returncode == 0, migrated.stderr
    assert keys(engine) == [("ada", "ada", "ss@m\u00fcnchen.de"), ("bob", "bob", "\u00df@m\u00fcnchen.de")]
    assert flask(environment(url), "db", "downgrade", BEFORE).returncode == 0
    assert keys(engine) == old


def test_the_printed_sql_stops_where_a_key_may_differ(before: tuple[str, Engine]) -> None:
    url, engine = before
    printed = flask(environment(url), "db", "upgrade", "--sql", f"{BEFORE}:0006").stdout
    check = printed[printed.index("DO $$") : printed.index("END $$") + len("END $$")]
    insert(engine, "Ada", "Ada@Example.com")
    with engine.begin() as connection:
        connection.execute(text(check))
    insert(engine, "bob", "\u00e9@example.com")
    with engine.begin() as connection, pytest.raises(Exception, match="run `flask db upgrade`"):
        connection.execute(text(check))
