"""Blueprint ``sessions``: the caller's own logins."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.openapi import Blueprint, refuses
from authapp.api.origins import origin
from authapp.api.responses import no_content
from authapp.api.schemas.sessions import SessionListSchema
from authapp.domain import UseCases
from authapp.errors import ResourceNotFound

blueprint = Blueprint("sessions", __name__, description="The caller's own logins")


@blueprint.get("")
@blueprint.response(200, SessionListSchema)
def live() -> dict[str, Any]:
    """List the live sessions, the one used last first."""
    caller = bearer.caller()
    sessions = UseCases.of(current_app).sessions.live(caller.id)
    return {"items": [{**vars(session), "current": session.id == caller.session_id} for session in sessions]}


@blueprint.delete("/<uuid:session_id>")
@blueprint.response(204)
@refuses(ResourceNotFound)
def end(session_id: UUID) -> Response:
    """End one session: its tokens are dead on the next request."""
    caller = bearer.caller()
    UseCases.of(current_app).sessions.end(caller.id, session_id, origin(caller))
    return no_content()
