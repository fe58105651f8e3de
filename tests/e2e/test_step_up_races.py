"""Step-ups at the same moment as what ends, refreshes or steps up the same session, over two workers."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
import requests

from e2e.processes import Server
from factories import PASSWORD

ROUNDS = 8
AT_ONCE = 6
NEW_PASSWORD = "another horse, another staple"
Pair = dict[str, Any]
Outcome = tuple[int, str | None]


class Client:
    """The calls of one client: an account whose password is known."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201

    def log_in(self) -> Pair:
        body = {"username": self._name, "password": PASSWORD}
        response = self._server.call("POST", "/api/v1/auth/login", json=body)
        assert response.status_code == 200, response.text
        pair: Pair = response.json()
        return pair

    def step_up(self, pair: Pair, password: str = PASSWORD) -> requests.Response:
        return self._server.call("POST", "/api/v1/auth/step-ups", pair["access_token"], json={"password": password})

    def refresh(self, pair: Pair) -> requests.Response:
        return self._server.call("POST", "/api/v1/auth/refresh", pair["refresh_token"])

    def log_out(self, pair: Pair, scope: str = "local") -> requests.Response:
        return self._server.call("POST", f"/api/v1/auth/logout?scope={scope}", pair["access_token"])

    def change_password(self, pair: Pair, old: str, new: str) -> requests.Response:
        body = {"current_password": old, "new_password": new}
        return self._server.call("PUT", "/api/v1/users/me/password", pair["access_token"], json=body)

    def ping(self, pair: Pair) -> requests.Response:
        return self._server.call("GET", "/api/v1/ping", pair["access_token"])


def at_once(*calls: Any) -> list[requests.Response]:
    """Run the calls at the same moment, and return their answers."""
    barrier = threading.Barrier(len(calls))

    def run(call: Any) -> requests.Response:
        barrier.wait()
        answer: requests.Response = call()
        return answer

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def outcome(response: requests.Response) -> Outcome:
    return response.status_code, response.json().get("code") if response.content else None


def jti(token: str) -> str:
    value: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return value


@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_step_up_that_races_a_logout_leaves_nothing_alive(server: Server, scope: str) -> None:
    client = Client(server, f"ada-{scope}")
    outcomes: Counter[Outcome] = Counter()
    for _ in range(ROUNDS):
        old = client.log_in()
        logout, stepped_up = at_once(lambda old=old: client.log_out(old, scope), lambda old=old: client.step_up(old))
        outcomes[outcome(stepped_up)] += 1
        pairs = [old, *([stepped_up.json()] if stepped_up.status_code == 200 else [])]
        if logout.status_code != 204:
            # The step-up came first, and revoked the access token with which the client wanted to log out.
            assert (outcome(logout), outcome(stepped_up)) == ((401, "token_revoked"), (200, None))
            assert client.log_out(pairs[-1], scope).status_code == 204
        for pair in pairs:
            assert outcome(client.ping(pair)) == (401, "token_revoked")
            assert outcome(client.refresh(pair)) == (401, "token_revoked")
    assert outcomes.keys() <= {(200, None), (401, "token_revoked")}, outcomes


def test_of_step_ups_with_one_token_one_is_answered_and_the_session_lives(server: Server) -> None:
    client = Client(server, "grace")
    for _ in range(ROUNDS):
        old = client.log_in()
        answers = at_once(*[lambda old=old: client.step_up(old)] * AT_ONCE)
        expected = Counter({(200, None): 1, (401, "token_revoked"): AT_ONCE - 1})
        assert Counter(map(outcome, answers)) == expected
        (new,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert client.ping(new).status_code == 200
        # Those who were refused go on with the refresh token that they have.
        refreshed = client.refresh(old)
        assert refreshed.status_code == 200
        assert jti(refreshed.json()["refresh_token"]) == jti(new["refresh_token"])


def test_a_step_up_that_races_a_refresh_leaves_both_clients_in(server: Server) -> None:
    client = Client(server, "edsger")
    for _ in range(ROUNDS):
        old = client.log_in()
        answers = at_once(lambda old=old: client.step_up(old), lambda old=old: client.refresh(old))
        assert [outcome(answer) for answer in answers] == [(200, None)] * 2
        stepped_up, refreshed = (answer.json() for answer in answers)
        assert client.ping(stepped_up).status_code == client.ping(refreshed).status_code == 200
        # At worst, the refresh has the predecessor of what the step-up has.
        assert [client.refresh(pair).status_code for pair in (refreshed, stepped_up)] == [200, 200]
        assert client.ping(stepped_up).status_code == client.ping(refreshed).status_code == 200


def test_a_step_up_that_races_a_new_password_counts_for_the_old_password_only_before_it(server: Server) -> None:
    client = Client(server, "barbara")
    outcomes: Counter[Outcome] = Counter()
    for _ in range(ROUNDS):
        pair, other = client.log_in(), client.log_in()
        changed, stepped_up = at_once(
            lambda pair=pair: client.change_password(pair, PASSWORD, NEW_PASSWORD),
            lambda other=other: client.step_up(other),
        )
        assert changed.status_code == 204
        outcomes[outcome(stepped_up)] += 1
        if stepped_up.status_code == 200:
            assert outcome(client.ping(stepped_up.json())) == (401, "token_revoked")
            assert outcome(client.refresh(stepped_up.json())) == (401, "token_revoked")
        assert outcome(client.refresh(other)) == (401, "token_revoked")
        assert client.change_password(pair, NEW_PASSWORD, PASSWORD).status_code == 204
    assert outcomes.keys() <= {(200, None), (401, "token_revoked"), (403, "wrong_password")}, outcomes
