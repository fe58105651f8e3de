"""``/problems/{code}``: what an error means, and what to do about it."""

from authapp.api.errors import documentation, status_of
from authapp.api.guards import public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.problems import ExplanationSchema
from authapp.errors import ResourceNotFound, catalogue

blueprint = Blueprint("problems", __name__, description="What each error code means")


@blueprint.get("/<code>")
@public
@blueprint.response(200, ExplanationSchema)
@refuses(ResourceNotFound)
def problem(code: str) -> dict[str, str | int]:
    """Explain one error code."""
    refusal = catalogue().get(code)
    if refusal is None:
        raise ResourceNotFound(f"There is no error code {code[:64]!r}.")
    return {
        "type": f"/problems/{code}",
        "code": code,
        "title": refusal.title,
        "status": status_of(refusal),
        "description": documentation(refusal),
    }
