"""Clients that others wrote verify our tokens, from what the live server publishes.

In Python these are PyJWT and Authlib, and for Node.js jose and oauth4webapi. Authlib and oauth4webapi introspect and
revoke as well, as clients of RFC 7662 and RFC 7009 do.
"""

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
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from authapp.security import api_keys
from databases import Databases
from e2e.others import installed, running
from e2e.processes import ROOT, Server, environment, flask
from factories import PASSWORD
from ports import free_port

AUDIENCE = "authapp"
SERVICE, SERVICE_PASSWORD = "reports@example.com", "a secret: 100% of & + =?/ and ü"
"""An account that introspects. OAuth clients encode both, and plain HTTP clients do not."""

REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid"]


class Issued(NamedTuple):
    """What a user of a server holds; ``issuer`` is all that a verifier knows of that server."""

    issuer: str
    alg: str
    user_id: str
    access_token: str
    refresh_token: str
    key: str


def made_key(variables: dict[str, str]) -> str:
    """Create a service and a person who may introspect, and return the API key of the service."""
    flask(variables, "roles", "create", "introspector", "--permission", "tokens:introspect")
    create = ("users", "create", "reports", SERVICE, "--role", "introspector", "--password-stdin")
    flask(variables, *create, stdin=SERVICE_PASSWORD)
    flask(variables, "users", "create-service", "robot", "--role", "introspector")
    return flask(variables, "api-keys", "create", "robot", "--name", "tests").stdout.strip()


@pytest.fixture(scope="module")
def key(variables: dict[str, str]) -> str:
    return made_key(variables)


@pytest.fixture(scope="module", params=["ES256", "EdDSA", "RS256"])
def issued(
    request: pytest.FixtureRequest, variables: dict[str, str], key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Issued]:
    """A token pair of a live server whose key is of the algorithm."""
    alg, port = request.param, free_port()
    issuer = f"http://127.0.0.1:{port}"
    yield from issued_by(variables, tmp_path_factory.mktemp(alg), alg, issuer, port, key)


def issued_by(variables: dict[str, str], folder: Path, alg: str, issuer: str, port: int, key: str) -> Iterator[Issued]:
    """Run a server at ``port`` that clients know as ``issuer``, and yield a token pair of it."""
    generated = flask(variables, "keys", "generate", "--alg", alg)
    assert generated.returncode == 0, generated.stderr
    changes = {"AUTHAPP_JWT_KEYS": generated.stdout, "AUTHAPP_ISSUER": issuer, "AUTHAPP_AUDIENCE": AUDIENCE}
    server = Server(folder, variables | changes | {"AUTHAPP_TRUSTED_PROXIES": "1"}, port)
    try:
        server.wait_until()
        account = {"username": alg, "email": f"{alg}@example.com", "password": PASSWORD}
        server.call("POST", "/api/v1/auth/register", json=account)
        pair = server.call("POST", "/api/v1/auth/login", json={"username": alg, "password": PASSWORD}).json()
        user = server.call("GET", "/api/v1/users/me", pair["access_token"]).json()
        yield Issued(issuer, alg, user["id"], pair["access_token"], pair["refresh_token"], key)
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


def test_authlib_validates_our_tokens_by_rfc_9068(issued: Issued) -> None:
    if issued.alg == "EdDSA":
        pytest.skip("Authlib's validator accepts no EdDSA.")
    metadata = AuthorizationServerMetadata(
        requests.get(f"{issued.issuer}/.well-known/oauth-authorization-server", timeout=10).json()
    )

    class Validator(JWTBearerTokenValidator):  # type: ignore[misc]  # Authlib is not typed
        def get_jwks(self) -> Any:
            return KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())

    validator = Validator(issuer=metadata["issuer"], resource_server=AUDIENCE)

    def validated(token: str) -> dict[str, Any]:
        claims = validator.authenticate_token(token)
        validator.validate_token(claims, [], None)
        return dict(claims)

    claims = validated(issued.access_token)
    assert (claims["sub"], claims["client_id"], claims["amr"]) == (issued.user_id, AUDIENCE, ["pwd"])
    for token in [*tampered(issued.access_token), issued.refresh_token]:
        with pytest.raises(InvalidTokenError):
            validated(token)


def test_authlib_finds_nothing_wrong_with_the_members_of_the_metadata(issued: Issued) -> None:
    document = requests.get(f"{issued.issuer}/.well-known/openid-configuration", timeout=10).json()
    metadata = AuthorizationServerMetadata(document)
    assert document["issuer"] == issued.issuer
    # Authlib wants https. It also wants the members of an OAuth flow, which this service does not have.
    urls = {"issuer", "jwks_uri", "token_endpoint", "introspection_endpoint", "revocation_endpoint"}
    for name in set(document) - urls:
        getattr(metadata, f"validate_{name}")()


def test_authlib_introspects_and_revokes_as_a_client_with_a_secret(issued: Issued) -> None:
    metadata = requests.get(f"{issued.issuer}/.well-known/oauth-authorization-server", timeout=10).json()
    client = OAuth2Session(
        SERVICE,
        SERVICE_PASSWORD,
        revocation_endpoint_auth_method="client_secret_basic",
        token_endpoint_auth_method="client_secret_basic",
    )
    pair = service_tokens(issued)

    seen = client.introspect_token(metadata["introspection_endpoint"], issued.access_token, "access_token").json()
    assert (seen["active"], seen["sub"], seen["token_type"]) == (True, issued.user_id, "Bearer")
    revoked = client.revoke_token(metadata["revocation_endpoint"], pair["refresh_token"], "refresh_token")
    assert (revoked.status_code, revoked.text) == (200, "")
    for token in pair["access_token"], pair["refresh_token"]:
        assert client.introspect_token(metadata["introspection_endpoint"], token).json() == {"active": False}


def test_authlib_gets_a_token_for_an_api_key(issued: Issued) -> None:
    metadata = requests.get(f"{issued.issuer}/.well-known/oauth-authorization-server", timeout=10).json()
    prefix = issued.key[: api_keys.PREFIX_LENGTH]
    client = OAuth2Session(prefix, issued.key, token_endpoint_auth_method="client_secret_basic")
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope="tokens:introspect")
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 900, "tokens:introspect")
    assert client.get(f"{issued.issuer}/api/v1/users/me").json()["username"] == "robot"
    seen = client.introspect_token(metadata["introspection_endpoint"], token["access_token"]).json()
    assert (seen["active"], seen["client_id"], seen["scope"]) == (True, prefix, "tokens:introspect")
    wrong = OAuth2Session(prefix, issued.key[:-1], token_endpoint_auth_method="client_secret_basic")
    with pytest.raises(OAuthError) as refused:
        wrong.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert refused.value.error == "invalid_client"


def test_oauth4webapi_gets_a_token_for_an_api_key(issued: Issued) -> None:
    prefix = issued.key[: api_keys.PREFIX_LENGTH]
    given = {"issuer": issued.issuer, "audience": AUDIENCE, "prefix": prefix, "key": issued.key, "wrong": "x"}
    seen = run_node("client_credentials_with_oauth4webapi.mjs", given=given)
    assert (seen["granted"]["expires_in"], seen["granted"]["scope"]) == (900, "tokens:introspect")
    assert (seen["validated"]["client_id"], seen["validated"]["scope"]) == (prefix, "tokens:introspect")
    assert (seen["introspected"]["active"], seen["introspected"]["username"]) == (True, "robot")
    assert seen["revoked"] == {"active": False}
    # What the library makes of a 401 with a challenge.
    assert seen["refused"] == {"error": "OAUTH_WWW_AUTHENTICATE_CHALLENGE", "status": 401}


def test_curl_gets_a_token_for_an_api_key(issued: Issued) -> None:
    """As docs/api-keys.md has it."""
    client = f"{issued.key[: api_keys.PREFIX_LENGTH]}:{issued.key}"
    command = [installed("curl"), "-sS", "-u", client, "-d", "grant_type=client_credentials"]
    ran = subprocess.run([*command, f"{issued.issuer}/api/v1/oauth/token"], capture_output=True, timeout=30, check=True)
    token = json.loads(ran.stdout)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{issued.issuer}/api/v1/ping", headers=headers, timeout=30).status_code == 200


@pytest.mark.parametrize("algorithm", ["oauth2", "oidc"])
def test_oauth4webapi_validates_introspects_and_revokes(issued: Issued, algorithm: str) -> None:
    assert_served(issued, algorithm)


@pytest.mark.parametrize("algorithm", ["oauth2", "oidc"])
def test_oauth4webapi_finds_an_issuer_with_a_path_behind_a_proxy(below_a_path: Issued, algorithm: str) -> None:
    assert_served(below_a_path, algorithm)


def assert_served(issued: Issued, algorithm: str) -> None:
    """Check that oauth4webapi does all that a resource server does, from the issuer and an account alone."""
    tokens = [issued.access_token, *tampered(issued.access_token), issued.refresh_token]
    pair = service_tokens(issued)
    seen = run_node(
        "verify_with_oauth4webapi.mjs",
        given={
            "issuer": issued.issuer,
            "audience": AUDIENCE,
            "algorithm": algorithm,
            "tokens": tokens,
            "username": SERVICE,
            "password": SERVICE_PASSWORD,
            "revoke": pair["access_token"],
        },
    )
    assert seen["metadata"]["issuer"] == issued.issuer
    good, *bad = seen["validated"]
    assert good["sub"] == issued.user_id, good
    assert all(set(each) == {"error"} for each in bad)
    live, *dead, refresh = seen["introspected"]
    assert (live["active"], live["sub"], live["client_id"]) == (True, issued.user_id, AUDIENCE)
    assert dead == [{"active": False}] * len(dead)
    assert (refresh["active"], refresh["type"]) == (True, "refresh")
    assert seen["revoked"] == {"active": False}
    assert seen["challenges"] == [["bearer", "authapp"], ["basic", "authapp"]]


def service_tokens(issued: Issued) -> dict[str, str]:
    credentials = {"username": SERVICE, "password": SERVICE_PASSWORD}
    answer = requests.post(f"{issued.issuer}/api/v1/auth/login", json=credentials, timeout=30)
    assert answer.status_code == 200, answer.text
    pair: dict[str, str] = answer.json()
    return pair


# A gateway that serves authapp below a path, as docs/operations.md describes it.
GATEWAY = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Prefix /accounts;
        location /accounts/ {{ proxy_pass http://127.0.0.1:{authapp}/; }}
        location = /.well-known/oauth-authorization-server/accounts {{ proxy_pass http://127.0.0.1:{authapp}; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def below_a_path(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A token pair of a server that a gateway serves below ``/accounts``."""
    folder, port, authapp = tmp_path_factory.mktemp("gateway"), free_port(), free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(GATEWAY.format(user=user, folder=folder, port=port, authapp=authapp))
    log = folder / "error.log"
    command = [installed("nginx"), "-p", str(folder), "-e", str(log), "-c", str(configuration)]
    with databases.migrated() as url, running(command, port, log):
        issuer, key = f"http://127.0.0.1:{port}/accounts", made_key(environment(url))
        yield from issued_by(environment(url), folder, "ES256", issuer, authapp, key)


def verified_by_jose(issued: Issued, audience: str, tokens: list[str]) -> list[dict[str, Any]]:
    outcomes: list[dict[str, Any]] = run_node("verify_with_jose.mjs", issued.issuer, audience, issued.alg, given=tokens)
    return outcomes


def run_node(script: str, *arguments: str, given: Any) -> Any:
    """Return what a script of this folder prints, for ``given`` on its standard input; both are JSON."""
    ran = subprocess.run(
        [node(), str(Path(__file__).with_name(script)), *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def node() -> str:
    found = shutil.which("node")
    if found is None or not all((ROOT / "node_modules" / name).exists() for name in ("jose", "oauth4webapi")):
        reason = "Node.js, jose or oauth4webapi is not installed: `npm ci` installs the packages."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
