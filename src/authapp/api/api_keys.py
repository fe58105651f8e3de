"""Blueprints ``api_keys``: those of one's own account; ``of_users``: for administrators, those of service accounts."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import recent, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.api_keys import ApiKeyPageSchema, ApiKeyRequestSchema, NewApiKeySchema
from authapp.api.schemas.pages import PageQuerySchema
from authapp.domain.api_keys.api_keys import ApiKeyRequest, NewApiKey, TooManyApiKeys
from authapp.domain.pages import Page
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.errors import PermissionDenied, ResourceNotFound
from authapp.models import ApiKey

blueprint = Blueprint("api_keys", __name__, description="API keys")
of_users = Blueprint("user_api_keys", __name__, description="API keys")


@blueprint.post("")
@recent()
@blueprint.arguments(ApiKeyRequestSchema)
@blueprint.response(201, NewApiKeySchema)
@refuses(TooManyApiKeys, PermissionDenied)
def create_own_api_key(body: dict[str, Any]) -> NewApiKey:
    """Make an API key of your own account.

    The answer has the key, which is not shown again. Its permissions cannot be more than yours. A key makes no keys.
    """
    keys = Services.of(current_app).api_keys
    return keys.create_own(current_principal().id, ApiKeyRequest(**body), request_context())


@blueprint.get("")
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, ApiKeyPageSchema)
def list_own_api_keys(query: dict[str, Any]) -> Page[ApiKey]:
    """List your own API keys.

    The newest comes first. An expired key is listed for 30 days, unless there are very many.
    """
    return Services.of(current_app).api_keys.page(current_principal().id, **query)


@blueprint.delete("/<uuid:key_id>")
@blueprint.response(204)
@refuses(ResourceNotFound)
def delete_own_api_key(key_id: UUID) -> Response:
    """Delete one of your own API keys.

    It is refused from the next request on, and so are the tokens that were issued for it.
    """
    Services.of(current_app).api_keys.delete_own(current_principal().id, key_id, request_context())
    return no_content()


@of_users.post("/<uuid:user_id>/api-keys")
@recent()
@requires(Permission.USERS_WRITE)
@of_users.arguments(ApiKeyRequestSchema)
@of_users.response(201, NewApiKeySchema)
@refuses(ResourceNotFound, TooManyApiKeys)
def create_user_api_key(body: dict[str, Any], user_id: UUID) -> NewApiKey:
    """Make an API key of a service account.

    The answer has the key, which is not shown again. Its permissions cannot be more than yours, and neither can those
    of the account. A person makes their own keys.
    """
    return Services.of(current_app).api_keys.create_for(user_id, ApiKeyRequest(**body), request_context())


@of_users.get("/<uuid:user_id>/api-keys")
@requires(Permission.USERS_WRITE)
@of_users.arguments(PageQuerySchema, location="query")
@of_users.response(200, ApiKeyPageSchema)
@refuses(ResourceNotFound)
def list_user_api_keys(query: dict[str, Any], user_id: UUID) -> Page[ApiKey]:
    """List the API keys of a user.

    The newest comes first. An expired key is listed for 30 days, unless there are very many.
    """
    return Services.of(current_app).api_keys.page_of(user_id, **query)


@of_users.delete("/<uuid:user_id>/api-keys/<uuid:key_id>")
@requires(Permission.USERS_WRITE)
@of_users.response(204)
@refuses(ResourceNotFound)
def delete_user_api_key(user_id: UUID, key_id: UUID) -> Response:
    """Delete an API key of a user.

    It is refused from the next request on, and so are the tokens that were issued for it.
    """
    Services.of(current_app).api_keys.delete(user_id, key_id, request_context())
    return no_content()
