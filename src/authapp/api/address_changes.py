"""Blueprint ``address_changes``: changing one's own address."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import limited, recent
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.address_changes import AddressChangeSchema
from authapp.api.schemas.mail import AcceptedSchema
from authapp.domain.services import Services
from authapp.errors import WrongPassword

blueprint = Blueprint("address_changes", __name__, description="Changes of one's own address")


@blueprint.put("")
@recent()
@limited("mail")
@blueprint.arguments(AddressChangeSchema)
@blueprint.response(202, AcceptedSchema)
@refuses(WrongPassword)
def change_own_email(body: dict[str, str]) -> dict[str, Any]:
    """Ask for another email address.

    A mail to it has a link that confirms it. Until then, the account keeps its address. The answer is the same if
    another account has the address.
    """
    change = Services.of(current_app).email.address_changes
    change.request(current_principal().id, body["email"], body.get("password"), request_context())
    return {}


@blueprint.delete("")
@recent()
@blueprint.response(204)
def delete_pending_email() -> Response:
    """Withdraw a change of address.

    The links that confirm it are void.
    """
    Services.of(current_app).email.address_changes.withdraw(current_principal().id, request_context())
    return no_content()
