"""The service about itself: the example of a private route, and the health checks."""

from flask import current_app

from authapp.api.guards import public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.health import LiveSchema, PongSchema, ReadySchema
from authapp.domain.services import Services
from authapp.errors import FieldError, ServiceUnavailable

private = Blueprint("ping", __name__, description="The service about itself")
blueprint = Blueprint("health", __name__, description="For load balancers and orchestrators")


@private.get("/ping")
@private.response(200, PongSchema)
def get_pong() -> dict[str, str]:
    """Answer whoever holds a live access token: the example of a private route."""
    return {"message": "pong"}


@blueprint.get("/live")
@public
@blueprint.response(200, LiveSchema)
def get_liveness() -> dict[str, str]:
    """Tell that the process answers; it asks nobody else."""
    return {"status": "live"}


@blueprint.get("/ready")
@public
@blueprint.response(200, ReadySchema)
@refuses(ServiceUnavailable)
def get_readiness() -> dict[str, str]:
    """Tell that requests can be answered, or which of `database` and `migrations` stands in the way."""
    problems = Services.of(current_app).health.problems()
    if problems:
        field_errors = [FieldError(f"#/{component}", sentence) for component, sentence in problems.items()]
        raise ServiceUnavailable(" ".join(problems.values()), field_errors=field_errors)
    return {"status": "ready"}
