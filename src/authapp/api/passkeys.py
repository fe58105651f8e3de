"""Blueprints ``passkeys``: those of one's own account; ``logins``: logging in with one; ``related_origins``."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import limited, public, recent, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import CACHEABLE, as_json, no_content
from authapp.api.schemas.factor_changes import KeptSessionsSchema, NoMembersSchema, ended_scope
from authapp.api.schemas.passkeys import (
    NewPasskeySchema,
    PasskeyAnswerSchema,
    PasskeyCreationOptionsSchema,
    PasskeyListSchema,
    PasskeyNameSchema,
    PasskeyRegistrationSchema,
    PasskeyRequestOptionsSchema,
    PasskeySchema,
    RelatedOriginsSchema,
)
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.config import Settings
from authapp.domain import hooks
from authapp.domain.factors.passkey_challenges import PasskeyAnswer
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import LastWayIn, PasskeyInvalid, PermissionDenied, ResourceNotFound, TooManyPasskeys
from authapp.models import Passkey

blueprint = Blueprint("passkeys", __name__, description="Passkeys")
logins = Blueprint("passkey_logins", __name__, description="Passkeys")
related_origins = Blueprint("related_origins", __name__, description="Passkeys")


def has_related_origins(settings: Settings) -> bool:
    """Return whether passkeys are used on pages of other domains."""
    return settings.relying_party is not None and bool(settings.relying_party.related_origins)


@blueprint.post("/challenges")
@without_required_factor
@recent()
@blueprint.arguments(NoMembersSchema)
@blueprint.response(201, PasskeyCreationOptionsSchema)
@refuses(TooManyPasskeys)
def create_passkey_challenge(body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - it is empty
    """Get a challenge for another passkey.

    Pass the answer to `navigator.credentials.create()`, and send within five minutes what it returns.
    """
    return Services.of(current_app).factors.passkeys.registration_options(current_principal().id, request_context())


@blueprint.post("")
@without_required_factor
@recent()
@limited("password")
@blueprint.arguments(PasskeyRegistrationSchema)
@blueprint.arguments(KeptSessionsSchema, location="query")
@blueprint.response(201, NewPasskeySchema)
@refuses(PasskeyInvalid, TooManyPasskeys)
def create_passkey(body: dict[str, Any], query: dict[str, str]) -> Response:
    """Add a passkey.

    The challenge must be from this session, and the authenticator must have verified the user. Your other sessions end.
    If it is the first second factor of the account, the answer has recovery codes, which are not shown again.
    """
    answer = PasskeyAnswer(body["credential"], body["challenge_id"])
    passkeys, scope = Services.of(current_app).factors.passkeys, ended_scope(query)
    passkey, codes = passkeys.register(current_principal().id, body["name"], answer, request_context(), scope=scope)
    return as_json(PasskeySchema().dump(passkey) | ({"recovery_codes": codes} if codes else {}), 201)


@blueprint.get("")
@blueprint.response(200, PasskeyListSchema)
def list_own_passkeys() -> dict[str, Sequence[Passkey]]:
    """List your own passkeys.

    The oldest comes first.
    """
    return {"items": Services.of(current_app).factors.passkeys.list(current_principal().id)}


@blueprint.patch("/<uuid:passkey_id>")
@blueprint.arguments(PasskeyNameSchema)
@blueprint.response(200, PasskeySchema)
@refuses(PermissionDenied, ResourceNotFound)
def update_passkey(body: dict[str, str], passkey_id: UUID) -> Passkey:
    """Rename one of your own passkeys."""
    passkeys = Services.of(current_app).factors.passkeys
    return passkeys.rename(current_principal().id, passkey_id, body["name"], request_context())


@blueprint.delete("/<uuid:passkey_id>")
@recent()
@limited("password")
@blueprint.arguments(KeptSessionsSchema, location="query")
@blueprint.response(204)
@refuses(ResourceNotFound, LastWayIn)
def delete_passkey(query: dict[str, str], passkey_id: UUID) -> Response:
    """Delete one of your own passkeys.

    Your other sessions end.
    """
    passkeys, scope = Services.of(current_app).factors.passkeys, ended_scope(query)
    passkeys.delete(current_principal().id, passkey_id, request_context(), scope=scope)
    return no_content()


@logins.post("/passkey-challenges")
@public
@limited("login")
@logins.arguments(NoMembersSchema)
@logins.response(201, PasskeyRequestOptionsSchema)
def create_passkey_login_challenge(body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - it is empty
    """Get a challenge to log in with a passkey.

    Pass the answer to `navigator.credentials.get()`, and send within five minutes what it returns. No username is
    asked: the passkey says whose it is. A step-up takes such a challenge, too.
    """
    return Services.of(current_app).factors.passkey_login.options()


@logins.post("/passkey-logins")
@public
@limited("login")
@logins.arguments(PasskeyAnswerSchema)
@logins.response(200, TokenPairSchema)
@refuses(PasskeyInvalid, signals=(hooks.before_session_start,))
def log_in_with_passkey(body: dict[str, Any]) -> TokenPair:
    """Log in with a passkey.

    The authenticator must have verified the user, so it counts as two factors.
    """
    answer = PasskeyAnswer(body["credential"], body["challenge_id"])
    return Services.of(current_app).factors.passkey_login.log_in(answer, request_context())


@related_origins.get("/webauthn")
@public
@related_origins.response(200, RelatedOriginsSchema)
def list_related_origins() -> tuple[dict[str, list[str]], dict[str, str]]:
    """List related origins.

    They are of other domains, and use the passkeys of this one. Browsers look here, at the domain of the passkeys
    (WebAuthn Level 3, section 5.11).
    """
    party = Services.of(current_app).settings.relying_party
    return {"origins": party.related_origins if party else []}, {"Cache-Control": CACHEABLE}
