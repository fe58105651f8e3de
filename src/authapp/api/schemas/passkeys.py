"""Schemas of passkeys. Names in mixed case are those of WebAuthn Level 3, section 5.1: browsers write and read them."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from authapp.api.schemas.factor_kinds import factor_members
from authapp.api.schemas.fields import NO_NUL, RECOVERY_CODES, Timestamp
from authapp.domain.factors.kinds import PASSKEY
from authapp.models.columns import ONE_LINE_PATTERN
from authapp.models.passkey import NAME_MAX_LENGTH
from authapp.security import base64url

CHALLENGE_ID = "b3Vyc2VsdmVzIGFsb25lIGtub3cgaG93IHRvIHNlYWwgaXQsIGFuZCBub2JvZHkgZWxzZSBkb2Vz"
CREDENTIAL_ID = "q0nX1mB7XkF6b0q2cH3mJw"
CLIENT_DATA = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiLi4uIiwib3JpZ2luIjoiaHR0cHM6Ly9hcHAuZXhhbXBsZS5jb20ifQ"
AAGUID = "08987058-cadc-4b81-b6e1-30de50dcbe96"
_DATA = "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ"
_USER_HANDLE = "AZqnxFs-fVOmsjwdng9Kdw"

NAME_RULE: dict[str, Any] = {
    "description": "What its owner calls it. One line, without control characters.",
    "pattern": ONE_LINE_PATTERN,
    "minLength": 1,
    "maxLength": NAME_MAX_LENGTH,
    "examples": ["Ada's phone"],
}


class Base64Url(fields.String):
    """Bytes as base64url without padding: dumped from bytes, and loaded as text."""

    def __init__(self, *, example: str, description: str = "", **options: Any) -> None:
        metadata = {"pattern": "^[A-Za-z0-9_-]+$", "examples": [example]}
        if description:
            metadata["description"] = description
        super().__init__(validate=validate.Regexp(r"[A-Za-z0-9_-]+\Z"), metadata=metadata, **options)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return base64url.encode(value) if isinstance(value, bytes) else value


class _WebAuthnSchema(Schema):
    """What browsers write: later editions may add members."""

    class Meta:
        unknown = EXCLUDE


class PasskeySchema(Schema):
    """A passkey, as its owner sees it."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"examples": ["Ada's phone"]})
    credential_id = Base64Url(
        required=True,
        example=CREDENTIAL_ID,
        description="By which browsers know it, for `PublicKeyCredential.signalAllAcceptedCredentials()`.",
    )
    created_at = Timestamp(required=True)
    last_used_at = Timestamp(required=True, allow_none=True)
    backed_up = fields.Boolean(required=True, metadata={"description": "Whether it was synced when it was last used."})
    transports = fields.List(fields.String(), required=True, metadata={"examples": [["internal", "hybrid"]]})
    aaguid = fields.UUID(
        required=True,
        metadata={"description": "The model of the authenticator, or zeros.", "examples": [AAGUID]},
    )


factor_members[PASSKEY] = fields.List(fields.Nested(PasskeySchema))


class NewPasskeySchema(PasskeySchema):
    """A passkey that was added. With the first second factor of an account come its recovery codes, shown this once."""

    recovery_codes = fields.List(fields.String(), metadata={"examples": [RECOVERY_CODES]})


class PasskeyListSchema(Schema):
    """The passkeys of a user, oldest first."""

    items = fields.List(fields.Nested(PasskeySchema), required=True)


class PasskeyNameSchema(Schema):
    """Another name for a passkey."""

    name = fields.String(
        required=True,
        validate=[validate.Length(1, NAME_MAX_LENGTH), validate.Regexp(ONE_LINE_PATTERN.replace("$", r"\Z"))],
        metadata=NAME_RULE,
    )


class PasskeyRelyingPartySchema(Schema):
    """This service, as the authenticator shows it."""

    id = fields.String(required=True, metadata={"examples": ["example.com"]})
    name = fields.String(required=True, metadata={"examples": ["Example"]})


class PasskeyCredentialOwnerSchema(Schema):
    """The account of the passkey."""

    id = Base64Url(required=True, example=_USER_HANDLE)
    name = fields.String(required=True, metadata={"examples": ["ada"]})
    display_name = fields.String(
        required=True, data_key="displayName", attribute="displayName", metadata={"examples": ["ada"]}
    )


class PasskeyAlgorithmSchema(Schema):
    """An algorithm of its key."""

    type = fields.String(required=True, metadata={"examples": ["public-key"]})
    alg = fields.Integer(required=True, metadata={"examples": [-8]})


class PasskeyDescriptorSchema(Schema):
    """A passkey that there is."""

    type = fields.String(required=True, metadata={"examples": ["public-key"]})
    id = Base64Url(required=True, example=CREDENTIAL_ID)
    transports = fields.List(fields.String(), required=True, metadata={"examples": [["internal", "hybrid"]]})


class PasskeySelectionSchema(Schema):
    """Which authenticators will do."""

    resident_key = fields.String(
        required=True, data_key="residentKey", attribute="residentKey", metadata={"examples": ["required"]}
    )
    require_resident_key = fields.Boolean(
        required=True, data_key="requireResidentKey", attribute="requireResidentKey", metadata={"examples": [True]}
    )
    user_verification = fields.String(
        required=True, data_key="userVerification", attribute="userVerification", metadata={"examples": ["required"]}
    )


class PasskeyOptionsSchema(Schema):
    """What a page gets for an authenticator."""

    challenge_id = Base64Url(required=True, example=CHALLENGE_ID, description="To be sent with the answer.")
    challenge = Base64Url(required=True, example=CHALLENGE_ID)
    timeout = fields.Integer(required=True, metadata={"description": "In milliseconds.", "examples": [300_000]})


class PasskeyCreationOptionsSchema(PasskeyOptionsSchema):
    """What `PublicKeyCredential.parseCreationOptionsFromJSON()` takes."""

    rp = fields.Nested(PasskeyRelyingPartySchema, required=True)
    user = fields.Nested(PasskeyCredentialOwnerSchema, required=True)
    pub_key_cred_params = fields.List(
        fields.Nested(PasskeyAlgorithmSchema), required=True, data_key="pubKeyCredParams", attribute="pubKeyCredParams"
    )
    exclude_credentials = fields.List(
        fields.Nested(PasskeyDescriptorSchema),
        required=True,
        data_key="excludeCredentials",
        attribute="excludeCredentials",
    )
    authenticator_selection = fields.Nested(
        PasskeySelectionSchema, required=True, data_key="authenticatorSelection", attribute="authenticatorSelection"
    )
    attestation = fields.String(required=True, metadata={"examples": ["none"]})


class PasskeyRequestOptionsSchema(PasskeyOptionsSchema):
    """What `PublicKeyCredential.parseRequestOptionsFromJSON()` takes."""

    rp_id = fields.String(required=True, data_key="rpId", attribute="rpId", metadata={"examples": ["example.com"]})
    allow_credentials = fields.List(
        fields.Nested(PasskeyDescriptorSchema), required=True, data_key="allowCredentials", attribute="allowCredentials"
    )
    user_verification = fields.String(
        required=True, data_key="userVerification", attribute="userVerification", metadata={"examples": ["required"]}
    )


def _client_data() -> Base64Url:
    return Base64Url(required=True, data_key="clientDataJSON", attribute="clientDataJSON", example=CLIENT_DATA)


class PasskeyAttestationSchema(_WebAuthnSchema):
    """What an authenticator answers to a registration."""

    client_data = _client_data()
    attestation_object = Base64Url(
        required=True, data_key="attestationObject", attribute="attestationObject", example="o2NmbXRkbm9uZQ"
    )
    transports = fields.List(
        fields.String(metadata=NO_NUL), validate=validate.Length(max=20), metadata={"examples": [["internal"]]}
    )


class PasskeyAssertionSchema(_WebAuthnSchema):
    """What an authenticator answers to a challenge."""

    client_data = _client_data()
    authenticator_data = Base64Url(
        required=True, data_key="authenticatorData", attribute="authenticatorData", example=_DATA
    )
    signature = Base64Url(required=True, example="MEUCIQDv_signature")
    user_handle = Base64Url(allow_none=True, data_key="userHandle", attribute="userHandle", example=_USER_HANDLE)


class PasskeyCredentialSchema(_WebAuthnSchema):
    """A credential."""

    id = Base64Url(required=True, example=CREDENTIAL_ID)
    raw_id = Base64Url(required=True, data_key="rawId", attribute="rawId", example=CREDENTIAL_ID)
    type = fields.String(required=True, validate=validate.Equal("public-key"), metadata={"enum": ["public-key"]})


class RegistrationCredentialSchema(PasskeyCredentialSchema):
    """A new credential: what `toJSON()` of it returns."""

    response = fields.Nested(PasskeyAttestationSchema, required=True)


class AuthenticationCredentialSchema(PasskeyCredentialSchema):
    """An answer of an authenticator: what `toJSON()` of it returns."""

    response = fields.Nested(PasskeyAssertionSchema, required=True)


class PasskeyRegistrationSchema(PasskeyNameSchema):
    """A passkey to add."""

    challenge_id = Base64Url(required=True, example=CHALLENGE_ID)
    credential = fields.Nested(RegistrationCredentialSchema, required=True)


class PasskeyAnswerSchema(Schema):
    """The answer to a challenge."""

    challenge_id = Base64Url(required=True, example=CHALLENGE_ID)
    credential = fields.Nested(AuthenticationCredentialSchema, required=True)


class RelatedOriginsSchema(Schema):
    """The origins of other domains whose pages may use the passkeys of this one."""

    origins = fields.List(fields.String(), required=True, metadata={"examples": [["https://example.co.uk"]]})
