"""Exchanging a code for the provider's tokens (RFC 6749, section 4.1.3), with PKCE."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode

from authapp.config import ProviderSettings
from authapp.domain.providers.flows import ProviderFlow
from authapp.domain.providers.kinds import ProviderClient, ProviderResponseRefused

_CLIENT_ERRORS = {"invalid_client", "unauthorized_client", "incorrect_client_credentials"}
"""The last one is GitHub's."""

ClientAuthentication = Literal["client_secret_basic", "client_secret_post"]


def authorization_url(
    endpoint: str, provider: ProviderSettings, flow: ProviderFlow, scopes: Sequence[str], **parameters: str
) -> str:
    """Return the address of the ``endpoint`` with the authorization request (RFC 6749, 4.1.1; RFC 7636, 4.3).

    ``scopes`` are those of the kind, in place of which the settings may name others.
    """
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": flow.redirect_uri,
        "scope": " ".join(provider.scopes or scopes),
        "state": flow.state,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
        **parameters,
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def exchange(
    endpoint: str,
    code: str,
    provider: ProviderSettings,
    flow: ProviderFlow,
    client: ProviderClient,
    authentication: ClientAuthentication,
) -> dict[str, Any]:
    """Return the token response. Raises ``ProviderResponseRefused`` for a bad code, and ``ProviderUnavailable``."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": flow.redirect_uri,
        "code_verifier": flow.verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if provider.client_secret is not None and authentication == "client_secret_basic":
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = provider.client_id
        if provider.client_secret is not None:
            form["client_secret"] = provider.client_secret
    response = client.fetch(endpoint, method="POST", headers=headers, body=urlencode(form).encode())
    tokens = client.object_in(response)
    error = tokens.get("error")
    if error in _CLIENT_ERRORS:
        # The fault of this service's settings, and not of the code.
        raise client.unavailable("It does not accept this client: check client_id and client_secret_file.")
    if response.status != 200 and not isinstance(error, str):
        raise client.unavailable(f"The token endpoint answered {response.status}, without an error of OAuth.")
    if response.status != 200 or error is not None:
        raise ProviderResponseRefused(f"the code was refused: {error}")
    if str(tokens.get("token_type", "bearer")).lower() != "bearer":
        # A client does not use a token of a type that it does not know (RFC 6749, section 7.1).
        raise ProviderResponseRefused("the access token is of another type than bearer")
    return tokens


def access_token(tokens: dict[str, Any]) -> str:
    """Return the access token in a token response. Raises ``ProviderResponseRefused`` for what no header can hold."""
    token = tokens.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+( [!-~]+)*", token):
        raise ProviderResponseRefused("there is no access token")
    return token
