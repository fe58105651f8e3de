"""Blueprint ``own_exports``: what is stored about the user."""

from typing import Any

from flask import current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import recent
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.exports import ExportSchema
from authapp.api.sessions import shown_sessions
from authapp.domain.services import Services
from authapp.errors import TooManyRequests

blueprint = Blueprint("own_exports", __name__, description="Accounts")


@blueprint.get("")
@recent()
@blueprint.response(200, ExportSchema)
@refuses(TooManyRequests)
def get_own_export() -> dict[str, Any]:
    """Export what is stored about you.

    It has your account, addresses that it had before, your factors and API keys without secrets, your newest sessions
    and your newest events, up to 200 of each. Read the others with `next_cursor` at `/users/me/sessions` and
    `/users/me/activity`.
    """
    principal = current_principal()
    export = Services.of(current_app).own_exports.of_user(principal.id, request_context())
    return {
        "user": export.user,
        "previous_emails": export.previous_emails,
        "factors": export.factors,
        "sessions": shown_sessions(export.sessions, principal.session_id),
        "api_keys": export.api_keys,
        "activity": export.activity,
        **export.sections,
    }
