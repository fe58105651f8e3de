"""Providers with discovery and ID tokens (OpenID Connect Core 1.0)."""

from typing import Any

from authapp.config import ProviderSettings
from authapp.domain.providers.code_flow import access_token, authorization_url, exchange
from authapp.domain.providers.discovery import Discovery
from authapp.domain.providers.flows import ProviderFlow
from authapp.domain.providers.kinds import (
    AuthorizationResponse,
    ProviderClient,
    ProviderResponseRefused,
    ProviderTools,
    ProviderUser,
    provider_kinds,
)
from authapp.errors import ProviderUnavailable
from authapp.security import id_tokens
from authapp.security.id_tokens import IDTokenRefused, IDTokenRules

_SCOPES = ("openid", "email", "profile")
_NAMES = ("preferred_username", "nickname", "given_name", "name")


class OpenIDProvider:
    """Asks one provider."""

    def __init__(self, provider: ProviderSettings, tools: ProviderTools) -> None:
        self._provider = provider
        self._leeway = tools.leeway
        self._discovery = Discovery(provider)

    def authorization_url(self, flow: ProviderFlow, client: ProviderClient) -> str:
        """Return where the user is sent. Raises ``ProviderUnavailable``."""
        endpoint = self._discovery.metadata(client).authorization_endpoint
        return authorization_url(endpoint, self._provider, flow, _SCOPES, nonce=flow.nonce)

    def check(self, client: ProviderClient) -> None:
        """Read all that a login would. Raises ``ProviderUnavailable``."""
        self._discovery.metadata(client)
        self._discovery.load_keys(client)

    def user(self, response: AuthorizationResponse, flow: ProviderFlow, client: ProviderClient) -> ProviderUser:
        """Return the user. Raises ``ProviderResponseRefused`` and ``ProviderUnavailable``."""
        metadata, provider = self._discovery.metadata(client), self._provider
        # Before the code goes anywhere: it may be that of another provider (RFC 9207, section 2.4).
        if response.issuer != provider.issuer and (response.issuer is not None or metadata.sends_issuer):
            raise ProviderResponseRefused("the response is from another issuer")
        self._discovery.load_keys(client)  # before the code is spent: what fails here can be sent again
        tokens = exchange(metadata.token_endpoint, response.code, provider, flow, client, metadata.authentication)
        claims = self._verified_claims(tokens, flow, client)
        if not isinstance(claims.get("email"), str) and metadata.userinfo_endpoint:
            # What the ID token calls verified is no address of the UserInfo.
            claims.pop("email_verified", None)
            claims |= _userinfo(metadata.userinfo_endpoint, access_token(tokens), claims["sub"], client)
        return _user(claims)

    def _verified_claims(self, tokens: dict[str, Any], flow: ProviderFlow, client: ProviderClient) -> dict[str, Any]:
        """Return the claims of the ID token in a token response."""
        token, access, provider = tokens.get("id_token"), tokens.get("access_token"), self._provider
        if not isinstance(token, str):
            raise ProviderResponseRefused("there is no ID token")
        rules = IDTokenRules(
            issuer=provider.issuer,
            client_id=provider.client_id,
            algorithms=provider.algorithms,
            nonce=flow.nonce,
            leeway=self._leeway,
        )
        try:
            return id_tokens.read(
                token,
                access if isinstance(access, str) else None,
                rules,
                lambda kid: self._discovery.key(kid, client),
            )
        except IDTokenRefused as refused:
            raise ProviderResponseRefused(f"the ID token: {refused}") from None


def _userinfo(endpoint: str, token: str, subject: str, client: ProviderClient) -> dict[str, Any]:
    """Return what the provider tells at its UserInfo endpoint: some tell no address in an ID token (section 5.4).

    That is nothing while the endpoint is down: only a new account needs an address. Raises ``ProviderResponseRefused``.
    """
    try:
        userinfo = client.json(endpoint, {"Authorization": f"Bearer {token}"})
    except ProviderUnavailable:
        return {}
    # Another user's must not be used (section 5.3.2).
    if userinfo.get("sub") != subject:
        raise ProviderResponseRefused("the UserInfo is of another user")
    return userinfo


def _user(claims: dict[str, Any]) -> ProviderUser:
    email = claims.get("email")
    return ProviderUser(
        subject=claims["sub"],
        email=email if isinstance(email, str) else None,
        # Some providers write it as text; only the JSON value counts.
        email_verified=claims.get("email_verified") is True,
        names=tuple(name for each in _NAMES if isinstance(name := claims.get(each), str)),
    )


provider_kinds.register("openid", OpenIDProvider)
