"""Schemas of what other services need to verify tokens."""

from marshmallow import Schema, fields

JWK = {
    "kty": "OKP",
    "kid": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "alg": "EdDSA",
    "use": "sig",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
"""An example: the public key of RFC 8037, appendix A.2."""


class JwkSchema(Schema):
    """A public key (RFC 7517). Its optional members depend on the type of key."""

    kty = fields.String(required=True)
    kid = fields.String(required=True)
    alg = fields.String(required=True)
    use = fields.String(required=True)
    crv = fields.String()
    x = fields.String()
    y = fields.String()
    n = fields.String()
    e = fields.String()


class JwkSetSchema(Schema):
    """Public keys (RFC 7517, section 5)."""

    keys = fields.List(fields.Nested(JwkSchema), required=True, metadata={"examples": [[JWK]]})


class MetadataSchema(Schema):
    """Authorization server metadata (RFC 8414, section 2)."""

    issuer = fields.String(required=True, metadata={"examples": ["https://auth.example.com"]})
    jwks_uri = fields.String(required=True, metadata={"examples": ["https://auth.example.com/.well-known/jwks.json"]})
    token_endpoint = fields.String(
        required=True, metadata={"examples": ["https://auth.example.com/api/v1/oauth/token"]}
    )
    token_endpoint_auth_methods_supported = fields.List(
        fields.String(), required=True, metadata={"examples": [["client_secret_basic"]]}
    )
    grant_types_supported = fields.List(fields.String(), required=True, metadata={"examples": [["client_credentials"]]})
    introspection_endpoint = fields.String(
        required=True, metadata={"examples": ["https://auth.example.com/api/v1/auth/introspect"]}
    )
    introspection_endpoint_auth_methods_supported = fields.List(
        fields.String(), required=True, metadata={"examples": [["client_secret_basic", "Bearer"]]}
    )
    revocation_endpoint = fields.String(
        required=True, metadata={"examples": ["https://auth.example.com/api/v1/auth/revoke"]}
    )
    revocation_endpoint_auth_methods_supported = fields.List(
        fields.String(), required=True, metadata={"examples": [["client_secret_basic", "Bearer"]]}
    )
    service_documentation = fields.String(required=True, metadata={"examples": ["https://auth.example.com/docs"]})
