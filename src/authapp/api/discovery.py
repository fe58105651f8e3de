"""Blueprint ``discovery``: the public keys and metadata with which other services verify tokens."""

from typing import Any

from flask import current_app

from authapp.api.guards import public
from authapp.api.openapi import Blueprint
from authapp.api.paths import BASE_PATH
from authapp.api.schemas.discovery import JwkSetSchema, MetadataSchema
from authapp.domain.services import Services

blueprint = Blueprint("discovery", __name__, description="For services that verify tokens themselves")

# A key is published long before it signs, so clients may cache the set.
CACHEABLE = "public, max-age=300"


@blueprint.get("/jwks.json")
@public
@blueprint.response(200, JwkSetSchema)
def get_jwks() -> tuple[dict[str, Any], dict[str, str]]:
    """Get the public keys that verify tokens.

    They are a JWK Set (RFC 7517).
    """
    return {"keys": Services.of(current_app).tokens.keys.public()}, {"Cache-Control": CACHEABLE}


@blueprint.get("/oauth-authorization-server")
@public
@blueprint.response(200, MetadataSchema)
def get_metadata() -> tuple[dict[str, Any], dict[str, str]]:
    """Get the authorization server metadata.

    This is RFC 8414.
    """
    tokens = Services.of(current_app).tokens
    issuer = tokens.rules.issuer.rstrip("/")
    document = {
        "issuer": tokens.rules.issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "introspection_endpoint": f"{issuer}{BASE_PATH}/auth/introspect",
        "introspection_endpoint_auth_methods_supported": ["bearer"],
        "revocation_endpoint": f"{issuer}{BASE_PATH}/auth/revoke",
        "revocation_endpoint_auth_methods_supported": ["bearer"],
        "service_documentation": f"{issuer}/docs",
        # Tokens come from this service's own login. No OAuth flow is offered.
        "response_types_supported": [],
        "grant_types_supported": [],
    }
    return document, {"Cache-Control": CACHEABLE}
