"""What the service promises about sessions and tokens, said once more without a database, a token or HTTP."""

from dataclasses import dataclass, field
from typing import Literal

ACCESS_TTL, REFRESH_TTL, SESSION_TTL, GRACE, LEEWAY = 60, 200, 420, 10, 5
"""Seconds; short ones, so that a few waits reach the end of a session."""

Answer = tuple[int, str | None]
OK, DONE, CREATED = (200, None), (204, None), (201, None)
EXPIRED, REVOKED, INVALID = (401, "token_expired"), (401, "token_revoked"), (401, "token_invalid")
REUSED, STALE, NO_LOGIN = (401, "refresh_token_reused"), (401, "fresh_token_required"), (401, "invalid_credentials")
WRONG_PASSWORD, NOT_FOUND = (403, "wrong_password"), (404, "not_found")
Scope = Literal["local", "others", "global"]


@dataclass(eq=False)
class User:
    name: str
    password: str
    active: bool = True
    exists: bool = True
    sessions: list["Session"] = field(default_factory=list)


@dataclass(eq=False)
class Session:
    """``generation`` counts the exchanges; ``exchanged_at`` is when the last one was."""

    user: User
    started_at: int
    exchanged_at: int
    generation: int = 0
    over: bool = False
    pruned: bool = False

    @property
    def expires_at(self) -> int:
        return self.started_at + SESSION_TTL

    @property
    def refresh_expires_at(self) -> int:
        return min(self.exchanged_at + REFRESH_TTL, self.expires_at)


@dataclass(eq=False)
class Access:
    session: Session
    expires_at: int
    fresh: bool
    taken_back: bool = False


@dataclass(eq=False)
class Refresh:
    session: Session
    expires_at: int
    generation: int


Token = Access | Refresh


@dataclass
class Model:
    """Every method answers what the server must answer at this moment, and does what it must do."""

    now: int = 0
    users: list[User] = field(default_factory=list)

    def state(self, token: Token, *, fresh: bool = False) -> Answer:
        """Return what the guard answers to a token of the right type."""
        session = token.session
        if self.now >= token.expires_at + LEEWAY:
            return EXPIRED
        if fresh and isinstance(token, Access) and not token.fresh:
            return STALE
        if not session.user.exists:
            return INVALID
        dead = session.over or (isinstance(token, Access) and token.taken_back)
        return REVOKED if dead else OK

    def register(self, name: str, password: str) -> Answer:
        self.users.append(User(name, password))
        return CREATED

    def log_in(self, user: User, password: str) -> Answer:
        return OK if user.exists and user.active and user.password == password else NO_LOGIN

    def pair(self, session: Session, *, fresh: bool) -> tuple[Access, Refresh]:
        """Return the tokens that the session hands out now."""
        access = Access(session, min(self.now + ACCESS_TTL, session.expires_at), fresh)
        return access, Refresh(session, session.refresh_expires_at, session.generation)

    def started(self, user: User) -> Session:
        session = Session(user, self.now, self.now)
        user.sessions.append(session)
        return session

    def refresh_answer(self, token: Refresh) -> Answer:
        """Return what a refresh would answer, without doing it."""
        session = token.session
        if self.state(token) != OK:
            return self.state(token)
        if self.now >= session.expires_at:
            return REVOKED
        current = token.generation == session.generation
        return OK if current or self.in_grace(token) else REUSED

    def in_grace(self, token: Refresh) -> bool:
        session = token.session
        return token.generation == session.generation - 1 and self.now < session.exchanged_at + GRACE

    def refresh(self, token: Refresh) -> Answer:
        answer = self.refresh_answer(token)
        session = token.session
        if answer == REUSED:
            session.over = True
        if answer == OK and not self.in_grace(token):
            session.generation += 1
            session.exchanged_at = self.now
        return answer

    def log_out(self, token: Access, scope: Scope) -> Answer:
        if (answer := self.state(token)) != OK:
            return answer
        for session in token.session.user.sessions:
            if scope == "global" or (scope == "local") == (session is token.session):
                session.over = True
        return DONE

    def change_password(self, token: Access, current: str, new: str) -> Answer:
        if (answer := self.state(token)) != OK:
            return answer
        user = token.session.user
        if user.password != current:
            return WRONG_PASSWORD
        user.password = new
        for session in user.sessions:
            session.over = session.over or session is not token.session
        return DONE

    def disable(self, user: User) -> None:
        user.active = False
        for session in user.sessions:
            session.over = True

    def enable(self, user: User) -> None:
        user.active = True

    def end_session(self, token: Access, session: Session) -> Answer:
        if (answer := self.state(token)) != OK:
            return answer
        if session.user is not token.session.user or session.over or session.pruned:
            return NOT_FOUND
        session.over = True
        return DONE

    def revoke(self, token: Access, other: Token) -> Answer:
        if (answer := self.state(token)) != OK:
            return answer
        if other.session.user is token.session.user and self.now < other.expires_at + LEEWAY:
            if isinstance(other, Refresh):
                other.session.over = True
            else:
                other.taken_back = True
        return OK

    def close(self, token: Access, password: str) -> Answer:
        if (answer := self.state(token, fresh=True)) != OK:
            return answer
        user = token.session.user
        if user.password != password:
            return WRONG_PASSWORD
        user.exists = False
        return DONE

    def live_sessions(self, user: User) -> list[Session]:
        return [each for each in user.sessions if not each.over and self.now < each.refresh_expires_at]

    def prune(self) -> int:
        """Return how many sessions go: those whose every token is refused by its date alone."""
        gone = [
            session
            for user in self.users
            for session in user.sessions
            if user.exists and not session.pruned and self.now > session.refresh_expires_at + LEEWAY + 1
        ]
        for session in gone:
            session.pruned = True
        return len(gone)
