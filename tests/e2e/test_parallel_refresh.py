"""Many clients with one refresh token at one moment, over two workers."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import create_engine, text

from databases import Databases
from e2e.processes import Server, environment, serving
from e2e.simultaneous import at_once
from factories import PASSWORD

ROUNDS = 30
AT_ONCE = 100
RACES = 10
Pair = dict[str, Any]


def log_in(server: Server) -> Pair:
    response = server.call("POST", "/api/v1/auth/login", json={"username": "grace", "password": PASSWORD})
    assert response.status_code == 200, response.text
    pair: Pair = response.json()
    return pair


def refused(server: Server, method: str, path: str, token: str) -> str:
    """Return the code of a 401."""
    response = server.call(method, f"/api/v1{path}", token)
    assert response.status_code == 401, response.text
    code: str = response.json()["code"]
    return code


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


@pytest.fixture(scope="module", autouse=True)
def _grace(server: Server) -> None:
    register(server)


def register(server: Server) -> None:
    account = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201


def test_a_hundred_refreshes_of_one_token_get_one_successor_and_the_session_lives(server: Server) -> None:
    for _ in range(ROUNDS):
        old = log_in(server)

        answers = at_once(server, [("POST", "/auth/refresh", old["refresh_token"])] * AT_ONCE)

        assert Counter(answer.outcome for answer in answers) == {(200, None): AT_ONCE}
        successors = {answer.body["refresh_token"] for answer in answers}
        assert len({claims(successor)["jti"] for successor in successors}) == 1
        assert claims(old["refresh_token"])["jti"] not in {claims(successor)["jti"] for successor in successors}
        assert len({answer.body["access_token"] for answer in answers}) == AT_ONCE
        opened = at_once(server, [("GET", "/ping", answers[number].body["access_token"]) for number in (0, 50, 99)])
        assert [answer.body for answer in opened] == [{"message": "pong"}] * 3
        renewed = server.call("POST", "/api/v1/auth/refresh", successors.pop())
        assert renewed.status_code == 200
        assert server.call("GET", "/api/v1/ping", renewed.json()["access_token"]).status_code == 200


def test_refreshes_that_race_a_logout_leave_nothing_alive(server: Server) -> None:
    outcomes: Counter[tuple[int, str | None]] = Counter()
    for number in range(RACES):
        old = log_in(server)
        racing = [("POST", "/auth/refresh", old["refresh_token"])] * 40
        place = number * 4  # from the first of all to the last but a few: some races each side wins
        racing.insert(place, ("POST", "/auth/logout", old["access_token"]))

        answers = at_once(server, racing)

        assert answers.pop(place).outcome == (204, None)
        outcomes.update(answer.outcome for answer in answers)
        descendants = [old, *(answer.body for answer in answers if answer.status == 200)]
        tries = [("GET", "/ping", pair["access_token"]) for pair in descendants]
        tries += [("POST", "/auth/refresh", pair["refresh_token"]) for pair in descendants]
        assert {answer.outcome for answer in at_once(server, tries)} == {(401, "token_revoked")}
    assert outcomes.keys() == {(200, None), (401, "token_revoked")}, outcomes


def test_a_token_presented_after_the_grace_ends_its_session_alone_and_is_recorded(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.migrated() as url:
        with serving(tmp_path, environment(url, AUTHAPP_REFRESH_GRACE="1", AUTHAPP_REFRESH_RETRY="1")) as server:
            register(server)
            bystander, old = log_in(server), log_in(server)
            session_id = claims(old["refresh_token"])["sid"]
            new = server.call("POST", "/api/v1/auth/refresh", old["refresh_token"]).json()
            time.sleep(1.2)

            response = server.call("POST", "/api/v1/auth/refresh", old["refresh_token"])

            assert (response.status_code, response.json()["code"]) == (401, "refresh_token_reused")
            for pair in (old, new):
                assert refused(server, "GET", "/ping", pair["access_token"]) == "token_revoked"
                assert refused(server, "POST", "/auth/refresh", pair["refresh_token"]) == "token_revoked"
            assert server.call("GET", "/api/v1/ping", bystander["access_token"]).status_code == 200
            assert server.call("POST", "/api/v1/auth/refresh", bystander["refresh_token"]).status_code == 200
            request_id = response.headers["X-Request-ID"]
        events = [json.loads(line) for line in server.log.splitlines()]
        recorded = [event for event in events if "reused" in event["message"]]
        assert [event["request_id"] for event in recorded] == [request_id]
        assert recorded[0]["level"] == "WARNING"
        assert session_id in recorded[0]["message"]
        assert claims(old["refresh_token"])["sub"] in recorded[0]["message"]
        for secret in [*old.values(), *new.values(), *bystander.values()]:
            assert not isinstance(secret, str) or secret == "Bearer" or secret not in server.log
        assert end_reasons(url) == {session_id: "refresh_token_reused", claims(bystander["refresh_token"])["sid"]: None}


def end_reasons(url: str) -> dict[str, str | None]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT id::text AS id, end_reason FROM sessions"))
            return {row.id: row.end_reason for row in rows}
    finally:
        engine.dispose()
