"""Whatever is done in whatever order, the server answers what a simple model answers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from authapp import create_app
from authapp.context import OPERATOR, RequestContext
from authapp.domain.services import Services
from clocks import set_clocks
from conftest import dispose, rolled_back
from databases import Databases
from domain import model
from domain.model import Access, Answer, Model, Refresh, Scope, Session, User
from factories import Api
from settings import settings

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["ada", "grace"]
PASSWORDS = ["correct horse battery staple", "another long sentence", "a third one, just as long"]
SCOPES: list[Scope] = ["local", "others", "global"]
GRACE, LEEWAY = model.GRACE, model.LEEWAY


@dataclass(eq=False)
class ClientToken:
    """A token in a client's hands, and what the model has in its place."""

    text: str
    jti: str
    token: Access | Refresh

    def __repr__(self) -> str:
        return f"{type(self.token).__name__.lower()} token {self.jti[:8]} of session {id(self.token.session):x}"


class Service(RuleBasedStateMachine):
    """The server, with its database and its clock, next to the model."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app, self.api, self.services = app, Api(app.test_client()), Services.of(app)
        self.model = Model()
        self.accesses: list[ClientToken] = []
        self.refreshes: list[ClientToken] = []
        self.session_ids: dict[Session, str] = {}
        self._cleanup = ExitStack()
        patch = self._cleanup.enter_context(pytest.MonkeyPatch.context())
        set_clocks(patch, lambda: START + timedelta(seconds=self.model.now))
        self._cleanup.enter_context(rolled_back(app))

    def teardown(self) -> None:
        self._cleanup.close()

    @initialize()
    def somebody_is_there_on_two_devices(self) -> None:
        self.register("ada", PASSWORDS[0])
        for _ in range(2):
            self._log_in(self.model.users[0], PASSWORDS[0])

    # --- what people do ----------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self._names()) < len(NAMES))
    @rule(data=st.data(), password=st.sampled_from(PASSWORDS))
    def register_a_free_name(self, data: st.DataObject, password: str) -> None:
        free = [name for name in NAMES if name not in self._names()]
        self.register(data.draw(st.sampled_from(free)), password)

    def register(self, name: str, password: str) -> None:
        response = self._register(name, f"{name}@example.com", password)
        assert outcome(response) == self.model.register(name, password)

    @precondition(lambda self: self._names())
    @rule(data=st.data(), same=st.sampled_from(["username", "email"]))
    def register_a_name_that_is_taken(self, data: st.DataObject, same: str) -> None:
        name = data.draw(st.sampled_from(sorted(self._names())))
        username = name.upper() if same == "username" else "somebody"
        address = f"{name if same == 'email' else 'somebody'}@Example.com"
        assert outcome(self._register(username, address, PASSWORDS[0])) == (409, f"{same}_taken")

    @precondition(lambda self: self.model.users)
    @rule(data=st.data(), password=st.sampled_from(PASSWORDS))
    def log_in_with_a_guess(self, data: st.DataObject, password: str) -> None:
        self._log_in(data.draw(st.sampled_from(self.model.users)), password)

    @precondition(lambda self: self.model.users)
    @rule(data=st.data())
    def log_in(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(self.model.users))
        self._log_in(user, user.password)

    @rule(data=st.data())
    def refresh_with_any_token(self, data: st.DataObject) -> None:
        self._refresh(data.draw(st.sampled_from(self.refreshes)))

    @precondition(lambda self: self._current())
    @rule(data=st.data())
    def refresh_with_the_current_token(self, data: st.DataObject) -> None:
        self._refresh(data.draw(st.sampled_from(self._current())))

    @precondition(lambda self: self._predecessors())
    @rule(data=st.data())
    def refresh_with_the_immediate_predecessor(self, data: st.DataObject) -> None:
        self._refresh(data.draw(st.sampled_from(self._predecessors())))

    @precondition(lambda self: self._predecessors())
    @rule(data=st.data(), after=st.sampled_from([GRACE - 1, GRACE]))
    def refresh_with_the_immediate_predecessor_as_the_grace_ends(self, data: st.DataObject, after: int) -> None:
        presented = data.draw(st.sampled_from(self._predecessors()))
        self.model.now = max(self.model.now, presented.token.session.exchanged_at + after)
        self._refresh(presented)

    @precondition(lambda self: self._much_is_alive())
    @rule(data=st.data())
    def log_out_here(self, data: st.DataObject) -> None:
        self.log_out(data, "local")

    @rule(data=st.data(), scope=st.sampled_from(SCOPES))
    def log_out_anywhere(self, data: st.DataObject, scope: Scope) -> None:
        self.log_out(data, scope)

    def log_out(self, data: st.DataObject, scope: Scope) -> None:
        presented = self._access(data)
        response = self.api.post("/auth/logout", token=presented.text, query_string={"scope": scope})
        assert outcome(response) == self.model.log_out(presented.token, scope)

    @rule(data=st.data(), right=st.sampled_from([True, True, False]), new=st.sampled_from(PASSWORDS))
    def change_the_password(self, data: st.DataObject, right: bool, new: str) -> None:
        presented = self._access(data)
        current = presented.token.session.user.password if right else "something else"
        change = {"current_password": current, "new_password": new}
        response = self.api("PUT", "/users/me/password", presented.text, json=change)
        assert outcome(response) == self.model.change_password(presented.token, current, new)

    @rule(data=st.data())
    def end_one_session(self, data: st.DataObject) -> None:
        presented = self._access(data)
        session = data.draw(st.sampled_from(sorted(self.session_ids, key=self.session_ids.__getitem__)))
        response = self.api("DELETE", f"/users/me/sessions/{self.session_ids[session]}", presented.text)
        assert outcome(response) == self.model.end_session(presented.token, session)

    @rule(data=st.data())
    def take_a_token_back(self, data: st.DataObject) -> None:
        presented = self._access(data)
        other = data.draw(st.sampled_from([*self.accesses, *self.refreshes]))
        response = self.api.post("/auth/revoke", token=presented.text, data={"token": other.text})
        assert outcome(response) == self.model.revoke(presented.token, other.token)

    @precondition(lambda self: self._much_is_alive())
    @rule(data=st.data(), right=st.sampled_from([True, False, False]))
    def delete_the_account(self, data: st.DataObject, right: bool) -> None:
        presented = self._access(data)
        password = presented.token.session.user.password if right else "something else"
        response = self.api("DELETE", "/users/me", presented.text, json={"password": password})
        assert outcome(response) == self.model.close(presented.token, password)

    # --- what operators do -------------------------------------------------------------------------------------------

    @precondition(lambda self: self._much_is_alive())
    @rule(data=st.data())
    def disable(self, data: st.DataObject) -> None:
        self._operate(self.services.administration.disable, self.model.disable, data)

    @precondition(lambda self: any(not user.active for user in self._existing()))
    @rule(data=st.data())
    def enable(self, data: st.DataObject) -> None:
        self._operate(self.services.administration.enable, self.model.enable, data)

    @rule()
    def prune(self) -> None:
        with self.app.app_context():
            assert self.services.pruning.prune()["sessions"] == self.model.prune()

    # --- what time does ----------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, GRACE - 1, GRACE, GRACE + 1]))
    def wait_about_as_long_as_the_grace(self, seconds: int) -> None:
        self.model.now += seconds

    @precondition(lambda self: self._much_is_alive())
    @rule(seconds=st.sampled_from([model.ACCESS_TTL, model.ACCESS_TTL + LEEWAY - 1, model.ACCESS_TTL + LEEWAY]))
    def wait_about_as_long_as_an_access_token_lives(self, seconds: int) -> None:
        self.model.now += seconds

    @precondition(lambda self: self._much_is_alive())
    @rule(data=st.data(), beyond=st.sampled_from([-1, 0, LEEWAY - 1, LEEWAY, LEEWAY + 2]))
    def wait_until_about_the_end_of_a_refresh_token(self, data: st.DataObject, beyond: int) -> None:
        end = data.draw(st.sampled_from(self.refreshes)).token.expires_at
        self.model.now = max(self.model.now, end + beyond)

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def every_access_token_opens_what_it_should(self) -> None:
        for presented in self.accesses:
            assert outcome(self.api.get("/ping", presented.text)) == self.model.state(presented.token), presented

    @invariant()
    def every_refresh_token_is_worth_what_it_should(self) -> None:
        for presented in self.refreshes:
            with self.app.app_context():
                live = self.services.introspection.introspect(presented.text)
            assert (live is not None) == (self.model.refresh_answer(presented.token) == model.OK), presented

    @invariant()
    def everybody_sees_their_live_sessions(self) -> None:
        for user in self.model.users:
            opening = [each for each in self.accesses if each.token.session.user is user]
            presented = next((each for each in opening if self.model.state(each.token) == model.OK), None)
            if presented:
                listed = self.api.get("/users/me/sessions", presented.text).get_json()["items"]
                expected = {self.session_ids[session] for session in self.model.live_sessions(user)}
                assert {item["id"] for item in listed} == expected
                current = self.session_ids[presented.token.session]
                assert [item["id"] for item in listed if item["current"]] == [current] * (current in expected)

    # --- how ---------------------------------------------------------------------------------------------------------

    def _names(self) -> set[str]:
        return {user.name for user in self._existing()}

    def _existing(self) -> list[User]:
        return [user for user in self.model.users if user.exists]

    def _current(self) -> list[ClientToken]:
        return list(self._generation(0))

    def _predecessors(self) -> list[ClientToken]:
        return list(self._generation(1))

    def _generation(self, age: int) -> Iterator[ClientToken]:
        for presented in self.refreshes:
            session = presented.token.session
            if not session.over and session.user.exists and presented.token.generation == session.generation - age:
                yield presented

    def last_of(self, session: Session) -> ClientToken:
        """Return the current refresh token of a session."""
        return next(presented for presented in reversed(self.refreshes) if presented.token.session is session)

    def _access(self, data: st.DataObject) -> ClientToken:
        """Draw an access token: mostly one that opens something, if there is one."""
        opening = self._opening()
        any_at_all = not opening or data.draw(st.integers(0, 7)) == 0
        presented: ClientToken = data.draw(st.sampled_from(self.accesses if any_at_all else opening))
        return presented

    def _opening(self) -> list[ClientToken]:
        return [presented for presented in self.accesses if self.model.state(presented.token) == model.OK]

    def _much_is_alive(self) -> bool:
        """Tell whether there is something left to end: without this, most of what is tried meets dead tokens alone."""
        return len({presented.token.session for presented in self._opening()}) > 1

    def _register(self, username: str, email: str, password: str) -> TestResponse:
        return self.api.post("/auth/register", {"username": username, "email": email, "password": password})

    def _log_in(self, user: User, password: str) -> None:
        # Of two accounts that had one name after another only the last can be meant.
        named = next(each for each in reversed(self.model.users) if each.name == user.name)
        response = self.api.log_in(named.name, password)
        answer = self.model.log_in(named, password)
        assert outcome(response) == answer
        if answer == model.OK:
            session = self.model.started(named)
            self._receive(response, session, fresh=True)
            self.session_ids[session] = self._claims(self.refreshes[-1].text)["sid"]

    def _refresh(self, presented: ClientToken) -> None:
        session = presented.token.session
        in_grace = self.model.in_grace(presented.token)
        current = {each.jti for each in self.refreshes if each.token.session is session and self._is_current(each)}
        response = self.api.post("/auth/refresh", token=presented.text)
        answer = self.model.refresh(presented.token)
        assert outcome(response) == answer, presented
        if answer == model.OK:
            known = {each.jti for each in self.refreshes}
            successor = self._claims(response.get_json()["refresh_token"])
            assert successor["sid"] == self.session_ids[session]
            assert {successor["jti"]} == current if in_grace else successor["jti"] not in known
            self._receive(response, session, fresh=False)

    def _is_current(self, presented: ClientToken) -> bool:
        return isinstance(presented.token, Refresh) and presented.token.generation == presented.token.session.generation

    def _receive(self, response: TestResponse, session: Session, *, fresh: bool) -> None:
        pair = response.get_json()
        access, refresh = self.model.pair(session, fresh=fresh)
        assert pair["expires_in"] == access.expires_at - self.model.now
        assert pair["refresh_expires_in"] == refresh.expires_at - self.model.now
        for name, token, kept in (("access", access, self.accesses), ("refresh", refresh, self.refreshes)):
            text = pair[f"{name}_token"]
            jti = self._claims(text)["jti"]
            if jti not in {presented.jti for presented in kept}:
                kept.append(ClientToken(text, jti, token))

    def _claims(self, text: str) -> Any:
        return self.services.tokens.read(text)

    def _operate(
        self, serve: Callable[[str, RequestContext], object], expect: Callable[[User], object], data: st.DataObject
    ) -> None:
        user = data.draw(st.sampled_from(self._existing()))
        with self.app.app_context():
            serve(user.name, OPERATOR)
        expect(user)


def outcome(response: TestResponse) -> Answer:
    """Return the status, and the code of a refusal."""
    return response.status_code, response.get_json()["code"] if response.status_code >= 400 else None


@pytest.fixture
def app(databases: Databases) -> Iterator[Flask]:
    lifetimes = {
        "access_token_ttl": model.ACCESS_TTL,
        "refresh_token_ttl": model.REFRESH_TTL,
        "session_ttl": model.SESSION_TTL,
        "refresh_grace": 0,
        "refresh_retry": model.GRACE,
        "leeway": model.LEEWAY,
    }
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, **lifetimes))
        yield app
        dispose(app)


def test_the_server_answers_what_the_model_answers(app: Flask) -> None:
    run_state_machine_as_test(
        lambda: Service(app),
        settings=hypothesis_settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            # A build that fails must fail again: the examples follow from the code alone.
            derandomize=True,
            database=None,
            # Shrinking takes minutes, and this run's time is bounded: add Phase.shrink for a short story.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_last_seconds_of_a_session_are_what_the_model_says(app: Flask) -> None:
    service = Service(app)
    try:
        service.somebody_is_there_on_two_devices()
        session = service.accesses[0].token.session
        for _ in range(3):
            service.model.now = session.refresh_expires_at - 1
            service._refresh(service.last_of(session))
        assert session.refresh_expires_at == session.expires_at
        for now in range(session.expires_at - 1, session.expires_at + LEEWAY + 1):
            service.model.now = now
            service.every_access_token_opens_what_it_should()
            service.every_refresh_token_is_worth_what_it_should()
            service.everybody_sees_their_live_sessions()
            if now >= session.expires_at:
                service._refresh(service.last_of(session))
    finally:
        service.teardown()
