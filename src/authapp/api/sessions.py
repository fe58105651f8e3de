"""Blueprint ``sessions``: the caller's own logins."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.sessions import SessionListSchema
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound

blueprint = Blueprint("sessions", __name__, description="The caller's own logins")


@blueprint.get("")
@blueprint.response(200, SessionListSchema)
def list_own_sessions() -> dict[str, Any]:
    """List your own live sessions.

    The most recently used one comes first.
    """
    principal = current_principal()
    sessions = Services.of(current_app).sessions.list_live(principal.id)
    return {"items": [{**vars(session), "current": session.id == principal.session_id} for session in sessions]}


@blueprint.delete("/<uuid:session_id>")
@blueprint.response(204)
@refuses(ResourceNotFound)
def delete_own_session(session_id: UUID) -> Response:
    """End one of your own sessions.

    Its tokens are refused from the next request on.
    """
    principal = current_principal()
    Services.of(current_app).sessions.end(principal.id, session_id, request_context())
    return no_content()
