"""GitHub: OAuth 2.0 without ID tokens. Who the user is, its API tells whoever holds the access token."""

from authapp.config import ProviderSettings
from authapp.domain.providers.code_flow import access_token, authorization_url, exchange
from authapp.domain.providers.flows import ProviderFlow
from authapp.domain.providers.kinds import (
    AuthorizationResponse,
    ProviderClient,
    ProviderResponseRefused,
    ProviderTools,
    ProviderUser,
    provider_kinds,
)
from authapp.security import strict_json

_SCOPES = ("read:user", "user:email")
_ISSUER = "https://github.com"


class GitHub:
    """Asks github.com, or the GitHub Enterprise Server whose address is the issuer."""

    def __init__(self, provider: ProviderSettings, _tools: ProviderTools) -> None:
        self._provider = provider
        site = provider.issuer.rstrip("/")
        self._authorize, self._token = f"{site}/login/oauth/authorize", f"{site}/login/oauth/access_token"
        self._api = "https://api.github.com" if site == _ISSUER else f"{site}/api/v3"
        # What it calls itself (RFC 9207) is not its address. Older Enterprise Servers do not name themselves.
        self._names = {None, provider.issuer, f"{site}/login/oauth"}

    def check(self, client: ProviderClient) -> None:
        """Read something: nothing of a login is published. Raises ``ProviderUnavailable``."""
        client.fetch(self._api)

    def authorization_url(self, flow: ProviderFlow, _client: ProviderClient) -> str:
        """Return where the user is sent."""
        return authorization_url(self._authorize, self._provider, flow, _SCOPES)

    def user(self, response: AuthorizationResponse, flow: ProviderFlow, client: ProviderClient) -> ProviderUser:
        """Return the user. Raises ``ProviderResponseRefused`` and ``ProviderUnavailable``.

        Without a nonce, PKCE is what binds the code to the flow.
        """
        if response.issuer not in self._names:
            raise ProviderResponseRefused("the response is from another issuer")
        tokens = exchange(self._token, response.code, self._provider, flow, client, "client_secret_post")
        headers = {"Authorization": f"Bearer {access_token(tokens)}", "Accept": "application/vnd.github+json"}
        profile = client.json(f"{self._api}/user", headers)
        # The number: names are given to others after a while.
        number = profile.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            raise ProviderResponseRefused("the profile has no id")
        email, is_verified = self._primary_email(headers, client)
        login = profile.get("login")
        return ProviderUser(
            subject=str(number),
            email=email,
            email_verified=is_verified,
            names=(login,) if isinstance(login, str) else (),
        )

    def _primary_email(self, headers: dict[str, str], client: ProviderClient) -> tuple[str | None, bool]:
        response = client.fetch(f"{self._api}/user/emails", headers=headers)
        try:
            emails = strict_json.loads(response.body)
        except ValueError:
            raise client.unavailable("The response is no JSON.") from None
        for each in emails if isinstance(emails, list) else ():
            if isinstance(each, dict) and each.get("primary") is True and isinstance(each.get("email"), str):
                return each["email"], each.get("verified") is True
        return None, False


provider_kinds.register("github", GitHub)
