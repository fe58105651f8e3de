"""GET /problems/{code}, and the table of statuses."""

import gc

import pytest
from flask import Flask

from authapp import create_app
from authapp.api.errors import STATUS, render, status_of
from authapp.errors import (
    Conflict,
    FieldError,
    Refusal,
    RoleTaken,
    ServiceUnavailable,
    TokenRevoked,
    ValidationFailed,
    catalogue,
)
from conftest import dispose
from databases import Databases
from factories import Api, problem
from settings import settings


@pytest.mark.parametrize("code", list(catalogue()))
def test_the_server_explains_each_code(api: Api, code: str) -> None:
    refusal = catalogue()[code]
    body = api.client.get(f"/problems/{code}").get_json()
    assert (body["type"], body["code"], body["title"]) == (f"/problems/{code}", code, refusal.title)
    assert body["status"] == status_of(refusal)
    assert len(body["description"].splitlines()) >= 2, "say when it happens, and what the client does about it"


def test_an_unknown_code_is_not_found(api: Api) -> None:
    problem(api.client.get("/problems/nonsense"), 404, "not_found")


def test_the_refusals_of_a_project_are_documented(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authapp.api.problems.catalogue", lambda: catalogue() | {"out_of_paper": ServiceUnavailable})
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        path = app.test_client().get("/openapi.json").get_json()["paths"]["/problems/{code}"]
        assert {"out_of_paper", "not_found"} < set(path["parameters"][0]["schema"]["enum"])
        dispose(app)


def test_each_code_belongs_to_one_refusal_and_each_refusal_has_a_status() -> None:
    def below(kind: type[Refusal]) -> list[type[Refusal]]:
        return [kind] + [found for child in kind.__subclasses__() for found in below(child)]

    coded = [kind for kind in below(Refusal) if "code" in vars(kind)]
    assert len(coded) == len(catalogue())
    assert {status_of(refusal) for refusal in coded} <= set(STATUS.values())


def test_a_second_refusal_with_a_code_is_refused() -> None:
    names = {"code": "role_taken", "title": "Taken.", "__doc__": "Taken.\n\nTake another."}
    duplicate = type("Duplicate", (Conflict,), names)
    with pytest.raises(ValueError, match="Two refusals have the code role_taken"):
        catalogue()
    del duplicate
    gc.collect()  # a class is part of a circle of references
    assert catalogue()["role_taken"] is RoleTaken


def test_a_refusal_without_a_kind_is_refused_with_the_kinds() -> None:
    with pytest.raises(TypeError, match=r"^Refusal has no status: derive it from one of .*'Conflict'"):
        status_of(Refusal)


def test_a_refusal_brings_members_and_parameters_of_the_challenge(app: Flask) -> None:
    refusal = TokenRevoked()
    refusal.members = {"factors": ["totp"], "status": 200}
    refusal.auth_params = {"error": "insufficient_user_authentication", "max_age": "300"}
    with app.test_request_context("/x"):
        answer = render(refusal)
    assert (answer.get_json()["factors"], answer.get_json()["status"]) == (["totp"], 401)
    challenge = 'Bearer realm="authapp", error="insufficient_user_authentication", max_age="300"'
    assert answer.headers["WWW-Authenticate"] == challenge


def test_the_occurrence_is_given_beside_the_code(app: Flask) -> None:
    with app.test_request_context("/x"):
        body = render(ValidationFailed("Twice.", field_errors=[FieldError("#/a", "No.")])).get_json()
        assert (body["detail"], body["errors"], body["instance"]) == (
            "Twice.",
            [{"pointer": "#/a", "detail": "No."}],
            "/x",
        )
        assert render(ServiceUnavailable(retry_after=7)).headers["Retry-After"] == "7"
