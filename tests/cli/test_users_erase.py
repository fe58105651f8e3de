"""``flask users erase``: an account, and what the audit trail has of its owner."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.mail import outbox
from authapp.domain.services import Services
from authapp.domain.users import erasure, rows
from authapp.models import ApiKey, AuditEvent, OutgoingMail, Session, User
from cli.invoking import flask_users, refused, succeeded
from factories import Api, a_service, a_session, a_user, an_api_key, events_of, problem

AGENT = {"User-Agent": "a telling browser"}


def traces(events: list[AuditEvent]) -> set[tuple[str | None, str | None, bool]]:
    return {(event.ip_address, event.user_agent, bool(event.details)) for event in events}


def active(api: Api, name: str, times: int) -> None:
    for _ in range(times):
        body = {"username": name, "password": "wrong"}
        api.post("/auth/login", body, headers=AGENT, environ_base={"REMOTE_ADDR": "203.0.113.9"})


@pytest.mark.parametrize("batch", [1, 1000])
def test_an_erased_account_is_gone_and_its_events_tell_only_ids(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(erasure, "_ERASE", erasure._ERASE.bindparams(batch=batch))
    ada, grace = a_user(app, "ada"), a_user(app, "grace")
    active(api, "ada", 3)
    active(api, "grace", 1)
    before = {event.id: (event.type, event.occurred_at) for event in events_of(app, ada)}

    assert succeeded(flask_users(app, "erase", "ada", "--yes")) == f"Erased the account {ada.id}.\n"

    *events, deleted, erased = events_of(app, ada)
    assert traces([*events, deleted]) == {(None, None, False)}
    assert {event.id: (event.type, event.occurred_at) for event in events} == before
    assert (deleted.type, erased.type) == ("user.deleted", "user.erased")
    assert ("203.0.113.9", "a telling browser", True) in traces(events_of(app, grace))
    with app.app_context():
        assert list(db.session.scalars(select(User.username))) == ["grace"]


def test_the_keys_and_all_sessions_of_an_erased_account_go(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "DELETED_AT_ONCE", 1)
    monkeypatch.setattr(erasure, "BATCH", 1)
    ada, grace = a_user(app, "ada"), a_user(app, "grace")
    for user in (ada, ada, ada, grace):
        a_session(app, user)
    key = an_api_key(app, ada, name="Ada's laptop")

    succeeded(flask_users(app, "erase", "ada", "--yes"))

    problem(api.get("/users/me", key), 401, "token_invalid")
    (made,) = events_of(app, ada, "api_key.created")
    assert made.details == {}
    with app.app_context():
        assert list(db.session.scalars(select(Session.user_id))) == [grace.id]
        assert list(db.session.scalars(select(ApiKey.id))) == []


def test_the_mails_to_the_owner_of_an_erased_account_go_whatever_address_they_have(app: Flask) -> None:
    ada, grace = a_user(app, "ada"), a_user(app, "grace")
    entry = {"email": "before@example.org", "since": "2026-11-01T10:00:00+00:00", "until": "2026-11-29T10:00:00+00:00"}
    with app.app_context(), transaction():
        changes = {"pending_email": "next@example.org", "previous_emails": [entry]}
        db.session.execute(update(User).where(User.id == ada.id).values(changes))
        for user_id, address in (
            (ada.id, None),
            (ada.id, "unknown@example.org"),
            *((None, address) for address in ("ADA@Example.com ", "next@example.org", "Before@example.org")),
            (grace.id, None),
            (None, "grace@example.com"),
        ):
            outbox.add("reset_password", user_id=user_id, address=address, context=OPERATOR)

    succeeded(flask_users(app, "erase", "ada", "--yes"))

    with app.app_context():
        left = db.session.execute(select(OutgoingMail.user_id, OutgoingMail.address)).all()
    assert sorted(left, key=str) == sorted([(grace.id, None), (None, "grace@example.com")], key=str)


def test_an_erasure_that_goes_on_deletes_the_mails_to_the_account(app: Flask) -> None:
    ada = a_user(app, "ada")
    with app.app_context():
        with transaction():
            outbox.add("reset_password", user_id=ada.id, address=None, context=OPERATOR)
        Services.of(app).administration.delete("ada", OPERATOR)

    succeeded(flask_users(app, "erase", str(ada.id), "--yes"))

    with app.app_context():
        assert db.session.query(OutgoingMail).count() == 0


def test_a_service_account_is_erased_with_its_keys(app: Flask, api: Api) -> None:
    service = a_service(app, "backup")
    key = an_api_key(app, service)

    succeeded(flask_users(app, "erase", "backup", "--yes"))

    problem(api.get("/ping", key), 401, "token_invalid")


def test_of_what_an_erased_account_did_to_others_only_its_client_goes(app: Flask, api: Api) -> None:
    admin, ada = a_user(app, "root", roles=["admin"]), a_user(app, "ada")
    a_user(app, "other", roles=["admin"])
    token = api.log_in("root").get_json()["access_token"]
    environ = {"REMOTE_ADDR": "203.0.113.9"}
    api("PATCH", f"/users/{ada.id}", token, json={"username": "ada2"}, headers=AGENT, environ_base=environ)

    succeeded(flask_users(app, "erase", "root", "--yes"))

    (changed,) = events_of(app, ada, "user.changed")
    assert (changed.actor_id, changed.ip_address, changed.user_agent) == (admin.id, None, None)
    assert changed.details == {"fields": ["username"]}


def test_an_erasure_that_was_interrupted_goes_on_with_the_id(app: Flask, api: Api) -> None:
    ada = a_user(app, "ada")
    active(api, "ada", 1)
    with app.app_context():
        Services.of(app).administration.delete("ada", OPERATOR)

    refused(flask_users(app, "erase", "ada", "--yes"), "There is no user 'ada'.")
    succeeded(flask_users(app, "erase", str(ada.id), "--yes"))

    *events, _erased = events_of(app, ada)
    assert traces(events) == {(None, None, False)}


def test_an_id_without_hyphens_is_a_username(app: Flask) -> None:
    ada = a_user(app, "ada")
    other = a_user(app, ada.id.hex, email="other@example.com")

    assert succeeded(flask_users(app, "erase", ada.id.hex, "--yes")) == f"Erased the account {other.id}.\n"

    with app.app_context():
        assert list(db.session.scalars(select(User.username))) == ["ada"]


def test_an_id_that_no_account_ever_had_is_refused(app: Flask) -> None:
    unknown = uuid4()

    refused(flask_users(app, "erase", str(unknown), "--yes"), "No account has or had the id")

    with app.app_context():
        assert db.session.scalars(select(AuditEvent.id).where(AuditEvent.subject_id == unknown)).all() == []


def test_the_last_administrator_is_not_erased(app: Flask) -> None:
    admin = a_user(app, roles=["admin"])

    refused(flask_users(app, "erase", admin.username, "--yes"), "administrator")
    assert "flask CLI" in {event.user_agent for event in events_of(app, admin)}


@pytest.mark.committed
def test_the_role_that_serves_may_not_erase(app: Flask) -> None:
    a_user(app, "ada")
    with app.app_context(), transaction() as session:
        session.execute(text("CREATE ROLE serves_only"))
        session.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO serves_only"))
        session.execute(text("REVOKE UPDATE, DELETE ON audit_events FROM serves_only"))
    try:
        call = "SELECT * FROM erase_audit_events(gen_random_uuid(), 'epoch', gen_random_uuid(), 1)"
        with app.app_context():
            session = db.session()
            session.execute(text("SET ROLE serves_only"))
            assert session.scalar(erasure._MAY_ERASE) is False
            with pytest.raises(DBAPIError, match="permission denied"):
                session.execute(text(call))
            session.rollback()
    finally:
        with app.app_context(), transaction() as session:
            session.execute(text("DROP OWNED BY serves_only"))
            session.execute(text("DROP ROLE serves_only"))


def test_the_function_empties_no_table_that_its_caller_put_before_the_trail(app: Flask) -> None:
    ada = a_user(app, "ada")
    with app.app_context(), transaction() as session:
        session.execute(text("CREATE TEMPORARY TABLE audit_events ON COMMIT DROP AS SELECT * FROM public.audit_events"))
        session.execute(erasure._ERASE, {"user_id": ada.id, "after_time": clock.from_timestamp(0), "after_id": ada.id})
        assert "flask CLI" in set(session.scalars(text("SELECT user_agent FROM audit_events")))
        assert set(session.scalars(text("SELECT user_agent FROM public.audit_events"))) == {None}


def test_the_trail_stays_append_only(app: Flask) -> None:
    ada = a_user(app, "ada")

    with app.app_context(), pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(text("UPDATE audit_events SET details = '{}' WHERE subject_id = :id").bindparams(id=ada.id))


@pytest.mark.parametrize(
    "change", ["type = 'user.created'", "ip_address = '192.0.2.1'", "details = '{\"forged\": 1}'", "subject_id = NULL"]
)
def test_even_an_erasure_rewrites_nothing(app: Flask, change: str) -> None:
    a_user(app, "ada", roles=["admin"])
    empty = "" if "ip_" in change else "ip_address = NULL, user_agent = NULL, "
    forgery = text(f"SET LOCAL authapp.erasing = 'on'; UPDATE audit_events SET {empty}{change}")

    with app.app_context(), pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(forgery)
