"""Blueprints ``providers``: logging in by a provider; ``links``: linking one's own account with one."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import limited, public, recent
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import as_json, no_content
from authapp.api.schemas.factor_changes import KeptSessionsSchema, ended_scope
from authapp.api.schemas.providers import (
    FlowCompletionSchema,
    ProviderIdentitySchema,
    ProviderListSchema,
    RedirectSchema,
    StartedFlowSchema,
)
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain import hooks
from authapp.domain.providers.providers import FlowCompletion, StartedFlow
from authapp.domain.providers.services import ProviderServices
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import (
    AccountExists,
    LastWayIn,
    ProviderAlreadyLinked,
    ProviderLoginFailed,
    ProviderUnavailable,
    RegistrationClosed,
    ResourceNotFound,
)
from authapp.models import ProviderIdentity

blueprint = Blueprint("providers", __name__, description="Providers")
links = Blueprint("provider_links", __name__, description="Providers")

_TOKEN_PAIR = TokenPairSchema()


@blueprint.get("")
@public
@blueprint.response(200, ProviderListSchema)
def list_providers() -> dict[str, list[dict[str, str]]]:
    """List the providers that one can log in by."""
    return {"items": [{"name": name} for name in _services().configured.names]}


@blueprint.post("/<name>/logins")
@public
@limited("login")
@blueprint.arguments(RedirectSchema)
@blueprint.response(201, StartedFlowSchema)
@refuses(ResourceNotFound, ProviderUnavailable)
def create_provider_login(body: dict[str, str], name: str) -> StartedFlow:
    """Begin a login by a provider.

    Keep the flow, and send the user to the address. The provider sends them back with a code and the state.
    """
    return _services().logins.start_login(name, body["redirect_uri"])


@blueprint.put("/<name>/logins")
@public
@limited("login")
@blueprint.arguments(FlowCompletionSchema)
@blueprint.response(200, TokenPairSchema)
@blueprint.alt_response(201, schema=TokenPairSchema, description="Likewise; the account was made.")
@refuses(
    ResourceNotFound,
    ProviderLoginFailed,
    ProviderUnavailable,
    AccountExists,
    RegistrationClosed,
    signals=(hooks.before_registration, hooks.before_session_start),
)
def log_in_with_provider(body: dict[str, str], name: str) -> TokenPair | Response:
    """Log in by a provider.

    Only the client that holds the flow can. The first time, an account is made, with a username from what the provider
    tells of its user. An account that has the address is never opened by it: log in there, and link the provider.
    """
    login = _services().logins.log_in(name, FlowCompletion(**body), request_context())
    return as_json(_TOKEN_PAIR.dump(login.pair), 201) if login.is_new else login.pair


@links.post("/<name>")
@recent()
@links.arguments(RedirectSchema)
@links.response(201, StartedFlowSchema)
@refuses(ResourceNotFound, ProviderAlreadyLinked, ProviderUnavailable)
def create_provider_link(body: dict[str, str], name: str) -> StartedFlow:
    """Begin to link your account with a provider.

    Go on as with a login. The flow is good in this session only.
    """
    return _services().links.start_link(current_principal().id, name, body["redirect_uri"], request_context())


@links.put("/<name>")
@recent()
@limited("password")
@links.arguments(FlowCompletionSchema)
@links.arguments(KeptSessionsSchema, location="query")
@links.response(200, ProviderIdentitySchema)
@refuses(ResourceNotFound, ProviderLoginFailed, ProviderAlreadyLinked, ProviderUnavailable)
def confirm_provider_link(body: dict[str, str], query: dict[str, Any], name: str) -> ProviderIdentity:
    """Link your account with a provider.

    From then on, that user logs in to it. Your other sessions end.
    """
    completion, scope = FlowCompletion(**body), ended_scope(query)
    return _services().links.complete(current_principal().id, name, completion, request_context(), scope=scope)


@links.delete("/<name>")
@recent()
@limited("password")
@links.arguments(KeptSessionsSchema, location="query")
@links.response(204)
@refuses(ResourceNotFound, LastWayIn)
def delete_provider_link(query: dict[str, Any], name: str) -> Response:
    """Unlink your account from a provider.

    Your other sessions end.
    """
    _services().links.delete(current_principal().id, name, request_context(), scope=ended_scope(query))
    return no_content()


def _services() -> ProviderServices:
    return Services.of(current_app).providers
