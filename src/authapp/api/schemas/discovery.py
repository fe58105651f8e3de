"""Schemas of what other services need to verify tokens."""

from marshmallow import Schema, fields


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

    keys = fields.List(fields.Nested(JwkSchema), required=True)


class MetadataSchema(Schema):
    """Authorization server metadata (RFC 8414, section 2)."""

    issuer = fields.String(required=True)
    jwks_uri = fields.String(required=True)
    introspection_endpoint = fields.String(required=True)
    introspection_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    revocation_endpoint = fields.String(required=True)
    revocation_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    service_documentation = fields.String(required=True)
