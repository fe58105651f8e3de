"""Parts of accounts in ``flask users import`` and ``export``: roles, authenticator apps, links with providers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from authapp.config import ProviderSettings
from authapp.database.session import db
from authapp.domain.account_parts import account_parts
from authapp.domain.services import Services
from authapp.models import ProviderIdentity
from cli.invoking import flask_users, succeeded
from cli.test_users_import import EMAIL, errors_of, found, imported
from conftest import reconfigured
from factories import Api, a_user, events_of
from providers import FakeProvider, log_in

ISSUER = "https://login.example.com"


@pytest.fixture
def configured(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"example": ISSUER, "other": "https://other.example.com"}
    providers = {name: ProviderSettings(name=name, issuer=issuer, client_id="us") for name, issuer in names.items()}
    reconfigured(app, monkeypatch, providers=providers)


def links(app: Flask) -> list[tuple[str, ...]]:
    columns = (ProviderIdentity.provider, ProviderIdentity.issuer, ProviderIdentity.subject)
    with app.app_context():
        return [tuple(row) for row in db.session.execute(select(*columns).order_by(*columns))]


@contextmanager
def counted_statements(app: Flask) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def full(number: int) -> dict[str, Any]:
    """Return an account with a value for each part."""
    return {
        "email": f"person{number}@example.com",
        "roles": ["admin"],
        "totp_secret": "A" * 32,
        "providers": [{"issuer": ISSUER, "subject": str(number)}],
    }


@pytest.mark.usefixtures("configured")
def test_a_batch_takes_as_many_statements_however_many_accounts_have_roles_and_parts(
    app: Flask, tmp_path: Path
) -> None:
    with counted_statements(app) as of_two:
        succeeded(imported(app, tmp_path, *(full(number) for number in range(2))))
    with counted_statements(app) as of_more:
        succeeded(imported(app, tmp_path, *(full(number) for number in range(2, 60))))

    assert len(of_more) == len(of_two) > 0
    with app.app_context():
        user = Services.of(app).accounts.find("person59")
        assert user.roles == ["admin"]
    kinds = sorted(each.type for each in events_of(app, user))
    assert kinds == ["factor.added", "factor.added", "provider.linked", "role.granted", "user.imported"]


def test_the_owner_of_an_imported_link_logs_in_by_the_provider(
    app: Flask, api: Api, tmp_path: Path, provider: FakeProvider
) -> None:
    link = {"provider": "example", "subject": provider.claims["sub"]}
    succeeded(imported(app, tmp_path, {"email": EMAIL, "providers": [link]}))

    pair = log_in(api, provider).get_json()

    assert api.get("/users/me", pair["access_token"]).get_json()["email"] == EMAIL
    user = found(app, EMAIL)
    issuer = provider.settings().issuer
    assert [each.details for each in events_of(app, user, "provider.linked")] == [
        {"provider": "example", "issuer": issuer}
    ]


@pytest.mark.usefixtures("configured")
def test_links_move_to_a_service_that_calls_the_provider_otherwise(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(imported(app, tmp_path, {**full(1), "roles": []}))
    out = tmp_path / "accounts.jsonl"
    succeeded(flask_users(app, "export", "--out", str(out)))
    succeeded(flask_users(app, "delete", "person1", "--yes"))
    assert json.loads(out.read_text())["providers"] == [{"provider": "example", "issuer": ISSUER, "subject": "1"}]
    assert links(app) == []
    there = ProviderSettings(name="sso", issuer=ISSUER, client_id="them")
    reconfigured(app, monkeypatch, providers={"sso": there})

    succeeded(flask_users(app, "import", str(out)))

    assert links(app) == [("sso", ISSUER, "1")]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("github", "Not of the type that it must have."),
        (["github"], "Each must be an object with a subject, and an issuer or a provider."),
        ([{"issuer": ISSUER, "subject": "1", "email": EMAIL}], "Each must be an object with a subject"),
        ([{"issuer": ISSUER}], "A subject must be 1 to 255 printable characters."),
        ([{"issuer": ISSUER, "subject": ""}], "A subject must be 1 to 255 printable characters."),
        ([{"issuer": ISSUER, "subject": "\n"}], "A subject must be 1 to 255 printable characters."),
        ([{"issuer": ISSUER, "subject": "x" * 256}], "A subject must be 1 to 255 printable characters."),
        ([{"issuer": ISSUER, "subject": 7}], "A subject must be 1 to 255 printable characters."),
        ([{"issuer": "https://evil.example.com", "subject": "1"}], "AUTHAPP_PROVIDERS has no such issuer."),
        ([{"issuer": "https://evil.example.com", "provider": "example", "subject": "1"}], "AUTHAPP_PROVIDERS has no"),
        ([{"provider": "github", "subject": "1"}], "AUTHAPP_PROVIDERS has no such provider."),
        ([{"subject": "1"}], "AUTHAPP_PROVIDERS has no such provider."),
        (
            [{"issuer": ISSUER, "subject": "1"}, {"provider": "example", "subject": "2"}],
            "An account has one link with each provider.",
        ),
    ],
    ids=str,
)
def test_a_link_that_cannot_be_one_is_an_error_of_its_line(
    app: Flask, tmp_path: Path, value: object, reason: str
) -> None:
    (error,) = errors_of(imported(app, tmp_path, {"email": EMAIL, "providers": value}, {"email": "ada@example.com"}))

    assert error.startswith(f"line 1: providers: {reason}")
    assert links(app) == []
    assert found(app, "ada").email == "ada@example.com"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("options", [(), ("--on-conflict", "skip")])
def test_a_link_that_another_account_has_is_an_error_of_its_line(
    app: Flask, tmp_path: Path, options: tuple[str, ...]
) -> None:
    a_user(app, "ada")
    succeeded(imported(app, tmp_path, full(1)))
    others = {"provider": "other", "subject": "9"}
    stolen = {"email": EMAIL, "providers": [{"issuer": ISSUER, "subject": "1"}, others]}

    result = imported(app, tmp_path, stolen, full(2), {**full(2), "email": "late@example.com"}, options=options)

    taken = "providers: Another account has it."
    assert errors_of(result) == [f"line 1: {taken}", f"line 3: {taken}"]
    assert [subject for *_, subject in links(app)] == ["1", "2"]
    # The other link of an account that was refused is free.
    succeeded(imported(app, tmp_path, {"email": EMAIL, "providers": [others]}))


@pytest.mark.usefixtures("configured")
def test_a_link_that_somebody_makes_at_the_same_moment_is_an_error_of_its_line(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(imported(app, tmp_path, full(1)))
    part = Services.of(app).imports._parts["providers"]
    answers = iter([set(), None])  # as it was when the import looked, and then as it is

    def looked(values: Any) -> Any:
        answer = next(answers)
        return part.taken(values) if answer is None else answer

    monkeypatch.setitem(Services.of(app).imports._parts, "providers", type(part)(**{**vars(part), "taken": looked}))

    result = imported(app, tmp_path, {**full(1), "email": EMAIL}, full(2))

    assert errors_of(result) == ["line 1: providers: Another account has it."]
    assert found(app, "person2").roles == ["admin"]


def test_a_part_has_no_name_of_a_field_of_the_account() -> None:
    with pytest.raises(ValueError, match="it is one of created_at, email"):
        account_parts.register("roles", account_parts["providers"])
