"""Prints the OpenAPI document of a service that has everything: ``python -m tools.openapi_document``."""

import json
from email.headerregistry import Address
from typing import Any

from authapp import create_app
from authapp.config import MailServer, ProviderSettings, Settings
from authapp.security.encryption_keys import EncryptionKeys
from authapp.security.keys import Key, KeyRing


def document() -> dict[str, Any]:
    """Return the document with every optional part switched on. It needs no database."""
    settings = Settings(
        database_url="postgresql+psycopg2://127.0.0.1/none",
        jwt_keys=KeyRing([Key.generate()]).to_json(),
        issuer="https://auth.example.com",
        encryption_keys=EncryptionKeys.generate(0).to_json(),
        # The second is of another domain, for which there is a route more.
        origins=("https://app.example.com", "https://example.co.uk"),
        rp_id="example.com",
        mail_url=MailServer("console"),
        mail_from=Address("authapp", "no-reply", "example.com"),
        login_links="on",
        providers={"example": ProviderSettings(name="example", issuer="https://op.invalid", client_id="authapp")},
        redirect_uris=("https://app.example.com/callback",),
        cors_origins=("https://app.example.com",),
        refresh_cookie="on",
    )
    published: dict[str, Any] = create_app(settings).test_client().get("/openapi.json").get_json()
    return published


if __name__ == "__main__":
    print(json.dumps(document()))
