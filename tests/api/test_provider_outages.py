"""A provider that is slow, broken or gone, and what of it is kept: its discovery document and its keys."""

import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from threading import Event, Semaphore, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from authapp.domain.http_client import HTTPClient
from authapp.domain.providers import discovery, kinds, providers
from authapp.errors import ProviderUnavailable
from authapp.security.keys import Key
from factories import Api, problem
from providers import DISCOVERY, JWKS, LOGINS, TOKEN, FakeProvider, begin, finish, log_in, respond


def never(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65_536)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def redirecting(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, {}, 302, Location=f"http://{handler.headers['Host']}/elsewhere")


BROKEN: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "never": never,
    "endless": endless,
    "dripping": dripping,
    "redirecting": redirecting,
    "500": lambda handler: respond(handler, {}, 500),
    "no JSON": lambda handler: respond(handler, "text"),
    "large": lambda handler: respond(handler, {"padding": "x" * kinds.MAX_BYTES}),
    "cut off": lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
}


@pytest.mark.parametrize("path", [DISCOVERY, JWKS, TOKEN])
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_provider_that_is_broken_is_unavailable_in_time(
    api: Api,
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    monkeypatch.setattr(kinds.ProviderClient.__init__, "__defaults__", (1.0,))
    begun = None if path == DISCOVERY else finish(provider, begin(api))
    provider.lies.answers[path] = answer
    started = time.monotonic()
    if begun is None:
        response = api.post(LOGINS, {"redirect_uri": "https://app.example.com/callback"})
    else:
        response = api("PUT", LOGINS, json=begun)
    problem(response, 503, "provider_unavailable")
    assert response.headers["Retry-After"] == "5"
    assert time.monotonic() - started < 2
    assert "/elsewhere" not in provider.paths


def test_the_time_is_five_seconds_for_all_questions_together() -> None:
    assert kinds.ProviderClient.__init__.__defaults__ == (5.0,)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"issuer": None},
        {"token_endpoint": "http://192.0.2.7/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://user@localhost/jwks"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 7},
        {"token_endpoint": "https://op.example.org:99999/token"},
        {"userinfo_endpoint": "http://192.0.2.7/userinfo"},
    ],
)
def test_a_discovery_document_that_cannot_be_trusted_is_not_used(
    api: Api, provider: FakeProvider, metadata: dict[str, Any]
) -> None:
    provider.lies.metadata = metadata
    response = api.post(LOGINS, {"redirect_uri": "https://app.example.com/callback"})
    problem(response, 503, "provider_unavailable")


def test_what_a_provider_names_does_not_lead_into_the_network_of_this_service(provider: FakeProvider) -> None:
    client = HTTPClient(at_once=1, max_bytes=kinds.MAX_BYTES)
    elsewhere = replace(provider.settings(), issuer="https://op.example.org")
    with pytest.raises(ProviderUnavailable):
        kinds.ProviderClient(elsewhere, client).fetch(f"{provider.issuer}/jwks")
    assert provider.paths == []
    assert kinds.ProviderClient(provider.settings(), client).fetch(f"{provider.issuer}/jwks").status == 200


def test_keys_are_fetched_once_and_again_for_an_unknown_key_id_but_not_more_often_than_each_minute(
    api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(api, provider).status_code == 201
    assert log_in(api, provider).status_code == 200
    assert (provider.paths.count(JWKS), provider.paths.count(DISCOVERY)) == (1, 1)
    provider.key = Key.generate("ES256")
    problem(log_in(api, provider), 401, "provider_login_failed")
    assert provider.paths.count(JWKS) == 1
    monkeypatch.setattr(discovery, "REFETCH_SECONDS", 0)
    assert log_in(api, provider).status_code == 200
    assert provider.paths.count(JWKS) == 2


def test_what_a_provider_publishes_is_fetched_again_after_an_hour(
    api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 0.0
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))
    assert log_in(api, provider).status_code == 201
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": []})  # a key that was withdrawn
    asked = provider.paths.count(DISCOVERY)
    ahead = 3500
    assert log_in(api, provider).status_code == 200
    assert provider.paths.count(DISCOVERY) == asked
    ahead = 3600
    problem(log_in(api, provider), 401, "provider_login_failed")
    assert provider.paths.count(DISCOVERY) > asked


def test_who_waits_for_what_another_request_fetches_waits_no_longer_than_it_may_ask(provider: FakeProvider) -> None:
    found, http = discovery.Discovery(provider.settings()), HTTPClient(at_once=2, max_bytes=kinds.MAX_BYTES)
    is_asked, may_answer = Event(), Event()

    def answer_later(handler: BaseHTTPRequestHandler) -> None:
        is_asked.set()
        may_answer.wait(10)
        respond(handler, provider._metadata())

    provider.lies.answers[DISCOVERY] = answer_later
    first = Thread(target=found.metadata, args=[kinds.ProviderClient(provider.settings(), http)])
    first.start()
    assert is_asked.wait(10)
    with pytest.raises(ProviderUnavailable):
        found.metadata(kinds.ProviderClient(provider.settings(), http, 0.2))
    may_answer.set()
    first.join()
    assert found.metadata(kinds.ProviderClient(provider.settings(), http)).jwks_uri == f"{provider.issuer}/jwks"
    assert provider.paths == [DISCOVERY]


@pytest.mark.parametrize("keys", [None, "keys", {}], ids=repr)
def test_what_is_no_set_of_keys_is_the_fault_of_the_provider(api: Api, provider: FakeProvider, keys: Any) -> None:
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": keys})
    problem(log_in(api, provider), 503, "provider_unavailable")


def test_an_answer_can_be_sent_again_after_the_keys_could_not_be_fetched(api: Api, provider: FakeProvider) -> None:
    answer = finish(provider, begin(api))
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {}, 500)
    problem(api("PUT", LOGINS, json=answer), 503, "provider_unavailable")
    assert TOKEN not in provider.paths
    del provider.lies.answers[JWKS]
    assert api("PUT", LOGINS, json=answer).status_code == 201


@pytest.mark.parametrize(("number", "code"), [(discovery.MAX_KEYS, 201), (discovery.MAX_KEYS + 1, 503)])
def test_a_set_of_too_many_keys_is_not_read(api: Api, provider: FakeProvider, number: int, code: int) -> None:
    keys = [{"kty": "EC", "kid": str(each)} for each in range(number - 1)] + [provider.public_jwk()]
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": keys})
    assert log_in(api, provider).status_code == code


def test_who_waits_for_one_provider_takes_no_turn_from_another(provider: FakeProvider) -> None:
    tools = kinds.ProviderTools(leeway=5)
    slow, other = (providers.Provider(provider.settings(name), tools) for name in ("slow", "other"))
    are_asked, may_answer = Semaphore(0), Event()

    def answer_later(handler: BaseHTTPRequestHandler) -> None:
        are_asked.release()
        may_answer.wait(10)
        respond(handler, {})

    provider.lies.answers["/slow"] = answer_later
    requests = [Thread(target=slow.client().fetch, args=[f"{provider.issuer}/slow"]) for _ in range(kinds.AT_ONCE)]
    for each in requests:
        each.start()
    assert all(are_asked.acquire(timeout=10) for _ in requests)
    assert other.client().fetch(f"{provider.issuer}{JWKS}").status == 200
    may_answer.set()
    for each in requests:
        each.join()
