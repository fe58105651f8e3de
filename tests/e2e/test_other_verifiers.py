"""Clients that others wrote verify our tokens, from what the live server publishes: PyJWT's, and jose for Node.js."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
import requests

from e2e.processes import ROOT, Server, flask, free_port
from factories import PASSWORD

AUDIENCE = "authapp"
REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid"]


class Issued(NamedTuple):
    """What a user of a server holds; ``issuer`` is all that a verifier knows of that server."""

    issuer: str
    alg: str
    user_id: str
    access_token: str
    refresh_token: str


@pytest.fixture(scope="module", params=["ES256", "EdDSA", "RS256"])
def issued(
    request: pytest.FixtureRequest, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Issued]:
    """A token pair of a live server whose key is of the algorithm."""
    alg, port = request.param, free_port()
    issuer = f"http://127.0.0.1:{port}"
    generated = flask(variables, "keys", "generate", "--alg", alg)
    assert generated.returncode == 0, generated.stderr
    changes = {"AUTHAPP_JWT_KEYS": generated.stdout, "AUTHAPP_ISSUER": issuer, "AUTHAPP_AUDIENCE": AUDIENCE}
    server = Server(tmp_path_factory.mktemp(alg), variables | changes, port)
    try:
        server.wait_until()
        account = {"username": alg, "email": f"{alg}@example.com", "password": PASSWORD}
        user = server.call("POST", "/api/v1/auth/register", json=account).json()
        pair = server.call("POST", "/api/v1/auth/login", json={"username": alg, "password": PASSWORD}).json()
        yield Issued(issuer, alg, user["id"], pair["access_token"], pair["refresh_token"])
    finally:
        server.stop()


def tampered(token: str) -> list[str]:
    """Return ``token`` for somebody else, with a bit of its signature turned, and with no signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(decoded(payload)) | {"sub": "00000000-0000-7000-8000-000000000000"}
    turned = bytearray(decoded(signature))
    turned[0] ^= 1
    return [
        f"{header}.{encoded(json.dumps(claims).encode())}.{signature}",
        f"{header}.{payload}.{encoded(bytes(turned))}",
        f"{header}.{payload}.",
    ]


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def test_pyjwt_accepts_our_tokens_and_refuses_tampered_ones(issued: Issued) -> None:
    metadata = requests.get(f"{issued.issuer}/.well-known/oauth-authorization-server", timeout=10).json()
    client = jwt.PyJWKClient(metadata["jwks_uri"])

    def verified(token: str, audience: str = AUDIENCE) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            client.get_signing_key_from_jwt(token),
            algorithms=[issued.alg],
            issuer=metadata["issuer"],
            audience=audience,
            options={"require": REQUIRED},
        )
        return claims

    assert metadata["issuer"] == issued.issuer
    assert verified(issued.access_token)["sub"] == issued.user_id
    for token in tampered(issued.access_token):
        with pytest.raises(jwt.InvalidSignatureError):
            verified(token)
    with pytest.raises(jwt.InvalidAudienceError):
        verified(issued.access_token, audience="somebody-else")


def test_jose_accepts_our_tokens_and_refuses_tampered_ones(issued: Issued) -> None:
    tokens = [issued.access_token, *tampered(issued.access_token), issued.refresh_token]

    good, *bad, refresh = verified_by_jose(issued, AUDIENCE, tokens)

    assert good["payload"]["sub"] == issued.user_id
    assert (good["header"]["alg"], good["header"]["typ"]) == (issued.alg, "at+jwt")
    assert bad == [{"error": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}] * len(bad)
    # Signed by the same key: nothing but its type tells a refresh token from an access token.
    assert refresh == {"error": "ERR_JWT_CLAIM_VALIDATION_FAILED"}
    elsewhere = verified_by_jose(issued, "somebody-else", [issued.access_token])
    assert elsewhere == [{"error": "ERR_JWT_CLAIM_VALIDATION_FAILED"}]


def verified_by_jose(issued: Issued, audience: str, tokens: list[str]) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [node(), str(Path(__file__).with_name("verify_with_jose.mjs")), issued.issuer, audience, issued.alg],
        input=json.dumps(tokens),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    outcomes: list[dict[str, Any]] = json.loads(ran.stdout)
    return outcomes


def node() -> str:
    found = shutil.which("node")
    if found is None or not (ROOT / "node_modules" / "jose").exists():
        reason = "Node.js or the package jose is not installed: `npm ci` installs the latter."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
