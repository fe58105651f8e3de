"""Blueprint ``sessions``: The user's own sessions."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.pages import PageQuerySchema
from authapp.api.schemas.sessions import SessionPageSchema
from authapp.context import acr_of
from authapp.domain.pages import Page
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound
from authapp.models import Session

blueprint = Blueprint("sessions", __name__, description="The user's own sessions")


@blueprint.get("")
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, SessionPageSchema)
def list_own_sessions(query: dict[str, Any]) -> dict[str, Any]:
    """List your own live sessions.

    The most recently used one comes first.
    """
    principal = current_principal()
    page = Services.of(current_app).sessions.list_live(principal.id, **query)
    return shown_sessions(page, principal.session_id)


def shown_sessions(page: Page[Session], current_id: UUID | None) -> dict[str, Any]:
    """Return a page of sessions as their owner sees it; ``current_id`` is that of the request's token."""
    items = [
        {
            "id": session.id,
            "current": session.id == current_id,
            "created_at": session.created_at,
            "last_used_at": session.last_used_at,
            "expires_at": session.expires_at,
            "ip_address": session.ip_address,
            "user_agent": session.user_agent,
            "amr": session.amr,
            "acr": acr_of(session.amr),
            "auth_time": session.auth_time or session.created_at,
        }
        for session in page.items
    ]
    return {"items": items, "next_cursor": page.next_cursor}


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
