"""Blueprint ``discovery``: the public keys and metadata with which other services verify tokens."""

from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Response, current_app
from flask.blueprints import BlueprintSetupState

from authapp.api.cors import READABLE_BY_ANY_PAGE
from authapp.api.guards import public
from authapp.api.openapi import Blueprint
from authapp.api.paths import BASE_PATH
from authapp.api.responses import CACHEABLE
from authapp.api.schemas.discovery import JwkSetSchema, MetadataSchema
from authapp.domain.services import Services

blueprint = Blueprint("discovery", __name__, description="For services that verify tokens themselves")


@blueprint.get("/jwks.json")
@public
@blueprint.response(200, JwkSetSchema)
def get_jwks() -> tuple[dict[str, Any], dict[str, str]]:
    """Get the public keys that verify tokens.

    They are a JWK Set (RFC 7517).
    """
    # A key is published long before it signs, so clients may cache the set.
    return {"keys": Services.of(current_app).tokens.keys.public()}, {"Cache-Control": CACHEABLE}


@blueprint.get("/oauth-authorization-server")
@public
@blueprint.response(200, MetadataSchema)
def get_metadata() -> tuple[dict[str, Any], dict[str, str]]:
    """Get the authorization server metadata.

    This is RFC 8414.
    """
    return _metadata(), {"Cache-Control": CACHEABLE}


@blueprint.get("/openid-configuration")
@public
@blueprint.response(200, MetadataSchema)
def get_openid_configuration() -> tuple[dict[str, Any], dict[str, str]]:
    """Get the OpenID configuration.

    It is the authorization server metadata, where clients of OpenID Connect look for it.
    """
    return _metadata(), {"Cache-Control": CACHEABLE}


@blueprint.after_request
def _let_every_page_read_it(response: Response) -> Response:
    response.headers.update(READABLE_BY_ANY_PAGE)
    return response


@blueprint.record
def _answer_at_the_path_of_the_issuer(state: BlueprintSetupState) -> None:
    """Answer where clients look for the metadata of an issuer with a path: before it, and below it.

    The first is RFC 8414, section 3.1, the second OpenID Connect Discovery, section 4; section 5 of the RFC has both.
    """
    path = unquote(urlsplit(Services.of(state.app).settings.issuer).path).rstrip("/")
    views = {"oauth-authorization-server": get_metadata, "openid-configuration": get_openid_configuration}
    for name, view in views.items() if path else ():
        endpoint = f"{state.name_prefix}.{state.name}.{view.__name__}".lstrip(".")
        for rule in (f"{state.url_prefix}/{name}{path}", f"{path}{state.url_prefix}/{name}"):
            state.app.add_url_rule(rule, endpoint)  # its view is registered already


def _metadata() -> dict[str, Any]:
    tokens = Services.of(current_app).tokens
    issuer = tokens.rules.issuer.rstrip("/")
    return {
        "issuer": tokens.rules.issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "introspection_endpoint": f"{issuer}{BASE_PATH}/auth/introspect",
        "token_endpoint": f"{issuer}{BASE_PATH}/oauth/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        # The names of the IANA registries of authentication methods and of types of access tokens.
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "Bearer"],
        "revocation_endpoint": f"{issuer}{BASE_PATH}/auth/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "Bearer"],
        # People get their tokens from this service's own login, so there is no authorization endpoint and no response
        # type to name: members without elements are left out (section 3.2).
        "service_documentation": f"{issuer}/docs",
    }
