"""The service about itself: the example of a private route, and the health checks."""

from flask import current_app

from authapp.api.guards import public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.ops import LiveSchema, PongSchema, ReadySchema
from authapp.domain import UseCases
from authapp.errors import Fault, ServiceUnavailable

private = Blueprint("ops", __name__, description="The service about itself")
health = Blueprint("health", __name__, description="For load balancers and orchestrators")


@private.get("/ping")
@private.response(200, PongSchema)
def ping() -> dict[str, str]:
    """Answer whoever holds a live access token: the example of a private route."""
    return {"message": "pong"}


@health.get("/live")
@public
@health.response(200, LiveSchema)
def live() -> dict[str, str]:
    """Tell that the process answers; it asks nobody else."""
    return {"status": "live"}


@health.get("/ready")
@public
@health.response(200, ReadySchema)
@refuses(ServiceUnavailable)
def ready() -> dict[str, str]:
    """Tell that requests can be answered, or which of `database` and `migrations` stands in the way."""
    problems = UseCases.of(current_app).health.problems()
    if problems:
        faults = [Fault(f"#/{component}", sentence) for component, sentence in problems.items()]
        raise ServiceUnavailable(" ".join(problems.values()), faults=faults)
    return {"status": "ready"}
