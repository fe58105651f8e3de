"""A provider on this machine: OpenID Connect, and the same without ID tokens as GitHub has it. Told so, it lies."""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from flask import Flask

from authapp.config import ProviderSettings
from authapp.domain.providers.discovery import CachedDocument
from authapp.domain.services import Services
from authapp.security import base64url
from authapp.security.keys import Key
from factories import Api

CLIENT_ID, CLIENT_SECRET = "authapp-client", "between us & nobody else"
REDIRECT_URI = "https://app.example.com/callback"
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Grant:
    """What a code stands for: the authorization request, and who allowed it."""

    request: dict[str, str]
    claims: dict[str, Any]
    uses: int = 0


@dataclass
class Lies:
    """What the provider does otherwise than it should."""

    claims: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    header: dict[str, Any] = field(default_factory=dict)
    key: Key | None = None
    token: Callable[[str], str] = lambda token: token
    metadata: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    replays: bool = False
    answers: dict[str, Answer] = field(default_factory=dict)
    """What is answered instead, by the path."""


class FakeProvider:
    """Users log in as whom ``claims`` say."""

    def __init__(self) -> None:
        self.key: Any = Key.generate("ES256")
        self.claims: dict[str, Any] = {"sub": "248289761001", "email": "ada@example.org", "email_verified": True}
        self.userinfo: dict[str, Any] = {}
        self.profile: dict[str, Any] = {"id": 583231, "login": "octocat", "name": "The Octocat"}
        self.emails: Any = [{"email": "octocat@example.org", "primary": True, "verified": True}]
        self.is_public = False
        self.lies = Lies()
        self.grants: dict[str, Grant] = {}
        self.paths: list[str] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.handle(self)

            def do_POST(self) -> None:
                server.handle(self)

            def log_message(self, *_: Any) -> None:
                """Write nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.http.server_port}"

    def settings(self, name: str = "example", **changes: Any) -> ProviderSettings:
        values = {"issuer": self.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **changes}
        return ProviderSettings(name=name, **values)

    def authorize(self, url: str, **claims: Any) -> dict[str, str]:
        """Return the parameters with which a user comes back who was sent to ``url`` and logged in."""
        request = dict(parse_qsl(urlsplit(url).query))
        assert request["code_challenge_method"] == "S256"
        code = f"code-{len(self.grants)}-{sha256(request['state'].encode()).hexdigest()[:8]}"
        self.grants[code] = Grant(request, {**self.claims, **claims})
        return {"code": code, "state": request["state"], "iss": self.issuer}

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        self.paths.append(path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with suppress(OSError):
            if path in self.lies.answers:
                self.lies.answers[path](handler)
            else:
                respond(handler, *self._respond(path, body, handler))

    def _respond(self, path: str, body: bytes, handler: BaseHTTPRequestHandler) -> tuple[Any, int]:
        if path == "/.well-known/openid-configuration":
            return self._metadata(), 200
        if path == "/jwks":
            return {"keys": [self.public_jwk()]}, 200
        if path in {"/token", "/login/oauth/access_token"}:
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()}, handler)
        if path == "/userinfo":
            return self.userinfo, 200
        if path == "/api/v3/user":
            return self.profile, 200
        if path == "/api/v3/user/emails":
            return self.emails, 200
        return {}, 404

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_response_iss_parameter_supported": True,
            **self.lies.metadata,
        }

    def public_jwk(self) -> dict[str, Any]:
        return {name: value for name, value in self.key.jwk.items() if name != "d"}

    def _token(self, form: dict[str, str], handler: BaseHTTPRequestHandler) -> tuple[Any, int]:
        basic = b64encode(f"{CLIENT_ID}:between+us+%26+nobody+else".encode()).decode()
        is_client = handler.headers.get("Authorization") == f"Basic {basic}" or (
            form.get("client_secret") == CLIENT_SECRET and form.get("client_id") == CLIENT_ID
        )
        if self.is_public:
            is_client = form.get("client_id") == CLIENT_ID and "Authorization" not in handler.headers
        if not is_client:
            return {"error": "invalid_client"}, 401
        with self._lock:
            grant = self.grants.get(form["code"])
            if grant is not None:
                grant.uses += 1
        challenge = base64url.encode(sha256(form["code_verifier"].encode()).digest())
        if (
            grant is None
            or (grant.uses > 1 and not self.lies.replays)
            or grant.request["code_challenge"] != challenge
            or grant.request["redirect_uri"] != form["redirect_uri"]
        ):
            return {"error": "invalid_grant"}, 400
        response = {"access_token": "an access token", "token_type": "Bearer", "id_token": self._id_token(grant)}
        return {**response, **self.lies.response}, 200

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        digest = sha256(b"an access token").digest()
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.request.get("nonce"),
            "at_hash": base64url.encode(digest[:16]),
            **grant.claims,
            **self.lies.claims,
        }
        claims = {name: value for name, value in claims.items() if name not in self.lies.drop}
        return self.lies.token(signed(self.lies.key or self.key, claims, **{"kid": self.key.kid, **self.lies.header}))


def signed(key: Key, claims: dict[str, Any], **header: Any) -> str:
    """Return a JWS over ``claims``; with another ``alg`` in the header than the key's, if one is given."""
    segments = ({"alg": key.alg, **header}, claims)
    signing_input = ".".join(base64url.encode(json.dumps(each).encode()) for each in segments)
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def respond(handler: BaseHTTPRequestHandler, content: Any, status: int = 200, **headers: str) -> None:
    body = json.dumps(content).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


DISCOVERY, JWKS, TOKEN = "/.well-known/openid-configuration", "/jwks", "/token"
LOGINS, LINK = "/auth/providers/example/logins", "/users/me/providers/example"


def log_in(api: Api, provider: FakeProvider, **claims: Any) -> Any:
    """Go through a whole login, and return the response to its end."""
    return api("PUT", LOGINS, json=finish(provider, begin(api), **claims))


def begin(api: Api, token: str | None = None) -> dict[str, Any]:
    """Begin a login; with a ``token``, to link its account."""
    path = LOGINS if token is None else LINK
    response = api.post(path, {"redirect_uri": REDIRECT_URI}, token)
    assert response.status_code == 201, response.json
    begun: dict[str, Any] = response.json
    return begun


def finish(provider: FakeProvider, begun: dict[str, Any], **claims: Any) -> dict[str, str]:
    """Return what the client sends when the user is back."""
    return {"flow": begun["flow"], **provider.authorize(begun["authorization_url"], **claims)}


def forget_keys(app: Flask) -> None:
    """Have the provider's keys fetched again."""
    adapter: Any = Services.of(app).providers.configured.find("example").adapter
    adapter._discovery._keys = CachedDocument()


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    provider = FakeProvider()
    thread = threading.Thread(target=provider.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.http.shutdown()
        provider.http.server_close()
        thread.join(5)
