"""Blueprint ``ping``: an example of a private route."""

from authapp.api.openapi import Blueprint
from authapp.api.schemas.ping import PongSchema

blueprint = Blueprint("ping", __name__, description="An example of a private route")


@blueprint.get("/ping")
@blueprint.response(200, PongSchema)
def get_pong() -> dict[str, str]:
    """Answer with a pong.

    This is an example of a private route.
    """
    return {"message": "pong"}
