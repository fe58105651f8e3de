"""Blueprint ``problems``: what each error code means, and what to do about it."""

from flask.blueprints import BlueprintSetupState

from authapp.api.errors import documentation, status_of
from authapp.api.guards import public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.paths import public_path
from authapp.api.schemas.problems import ExplanationSchema
from authapp.errors import ResourceNotFound, catalogue

blueprint = Blueprint("problems", __name__, description="What each error code means")


_CODES: list[str] = []
_CODE = {"in": "path", "name": "code", "required": True, "schema": {"type": "string", "enum": _CODES}}


@blueprint.record
def _list_codes(_state: BlueprintSetupState) -> None:
    # Listed for each application, so that the refusals of a project, which are defined later than ours, are in it.
    _CODES[:] = catalogue()


@blueprint.get("/<code>", parameters=[_CODE])
@public
@blueprint.response(200, ExplanationSchema)
@refuses(ResourceNotFound)
def get_problem(code: str) -> dict[str, str | int]:
    """Explain one error code."""
    refusal = catalogue().get(code)
    if refusal is None:
        raise ResourceNotFound(f"There is no error code {code[:64]!r}.")
    return {
        "type": public_path(f"/problems/{code}"),
        "code": code,
        "title": refusal.title,
        "status": status_of(refusal),
        "description": documentation(refusal),
    }
