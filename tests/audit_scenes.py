"""Who acts in tests of the audit trail, and what is in it."""

from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from authapp.database.session import db
from authapp.domain.services import Services
from authapp.models import AuditEvent
from factories import Api, a_session, a_user
from factors import a_session_with_two_factors, an_app

NEW_PASSWORD = "another sentence, just as long"


WRONG = "not the password"


def events(app: Flask, event_type: str | None = None) -> list[AuditEvent]:
    statement = select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)
    with app.app_context():
        return list(db.session.scalars(statement.where(AuditEvent.type == event_type) if event_type else statement))


class Scene:
    """An administrator and a user, each logged in."""

    def __init__(self, app: Flask, api: Api) -> None:
        self.app, self.api = app, api
        self.admin, self.user = a_user(app, roles=["admin"]), a_user(app)
        self.as_admin = a_session_with_two_factors(app, api, self.admin, an_app(app, self.admin)).access_token
        self.pair = a_session(app, self.user)
        self.token = self.pair.access_token

    def patch(self, **changes: Any) -> Any:
        return self.api("PATCH", f"/users/{self.user.id}", self.as_admin, json=changes)

    def password(self, current: str) -> Any:
        body = {"current_password": current, "new_password": NEW_PASSWORD}
        return self.api("PUT", "/users/me/password", self.token, json=body)

    def fail(self) -> TestResponse:
        return self.api.log_in(self.user.username, WRONG)

    def refresh(self, token: str) -> TestResponse:
        return self.api.post("/auth/refresh", token=token)

    def refresh_twice(self) -> None:
        self.refresh(self.refresh(self.pair.refresh_token).get_json()["refresh_token"])

    def id_of(self, name: str | None) -> UUID | None:
        known = {"admin": self.admin.id, "user": self.user.id, None: None}
        if name in known:
            return known[name]
        with self.app.app_context():
            return Services.of(self.app).accounts.find(name).id

    def state(self) -> dict[str, list[str]]:
        """Return every row but for the trail itself, and the count of failures, which is kept before all else."""
        tables = ("users", "user_roles", "roles", "sessions", "token_blocklist")
        with self.app.app_context():
            return {
                table: sorted(db.session.scalars(text(f"SELECT row_to_json(t)::text FROM {table} AS t")))
                for table in tables
            }


def refuse_events(app: Flask, event_type: str) -> None:
    """Let the database refuse this type of event from now on."""
    with app.app_context():
        db.session.execute(
            text(f"ALTER TABLE audit_events ADD CONSTRAINT refused CHECK (type <> '{event_type}') NOT VALID")
        )
        db.session.commit()
