"""Blueprint ``health``: health checks for load balancers and orchestrators."""

from flask import current_app

from authapp.api.guards import public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.health import LiveSchema, ReadySchema
from authapp.domain.services import Services
from authapp.errors import ServiceUnavailable

blueprint = Blueprint("health", __name__, description="Health checks for load balancers and orchestrators")


@blueprint.get("/live")
@public
@blueprint.response(200, LiveSchema)
def get_liveness() -> dict[str, str]:
    """Check that the process answers.

    The database is not asked.
    """
    return {"status": "live"}


@blueprint.get("/ready")
@public
@blueprint.response(200, ReadySchema)
@refuses(ServiceUnavailable)
def get_readiness() -> dict[str, str]:
    """Check that requests can be answered.

    If not, the error names the component that is not ready: `database`, `privileges`, `migrations`, `encryption_keys`,
    or one that the application has added.
    """
    Services.of(current_app).health.require_ready()
    return {"status": "ready"}
