"""Changing one's own address, undoing a change, and what an administrator does to the address or the password."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from authapp import create_app, hooks
from authapp.config import RateLimit
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.email import kinds
from authapp.domain.email.previous_addresses import MAX_KEPT
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.administration import Changes
from authapp.errors import EmailTaken, OneTimeTokenInvalid
from authapp.models import AuditEvent, LoginThrottle, OneTimeToken, OutgoingMail, User, UserStatus
from authapp.models.role import ADMIN
from clocks import Time
from conftest import dispose, reconfigured
from databases import Databases
from factories import GUEST, PASSWORD, Api, a_session, a_user, problem
from settings import mail, settings

NEW = "Countess@Example.org"
STOLEN = "what somebody else has chosen"


class Mailbox:
    """The mails of one account that are stored and that delivery would send, and their links."""

    def __init__(self, app: Flask, user: User) -> None:
        self._services, self._user_id = Services.of(app), user.id

    def mails(self) -> list[tuple[str, str | None]]:
        """Return the kind and the address of each mail that is stored."""
        rows = db.session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)).all()
        return [(row.kind, row.address) for row in rows if row.user_id in {None, self._user_id}]

    def link(self, kind: str, address: str | None = None) -> str:
        """Send the newest mail of a kind, as delivery does, and return the token in its link."""
        token = self._send(kind, address)
        assert token is not None, f"a {kind} is dropped, or has no link"
        return token

    def sends_no_link(self, kind: str, address: str | None = None) -> bool:
        """Tell whether the newest mail of a kind is dropped when it is to be sent, or has no link."""
        return self._send(kind, address) is None

    def _send(self, kind: str, address: str | None) -> str | None:
        with transaction():
            newest = select(OutgoingMail).where(OutgoingMail.kind == kind).order_by(OutgoingMail.id.desc())
            if address is not None:
                newest = newest.where(OutgoingMail.address == address)
            row = db.session.scalars(newest.limit(1)).one()
            recipient = kinds.mail_kinds[kind].recipient(row)
            purpose = kinds.mail_kinds[kind].purpose
            if recipient is None or purpose is None:
                return None
            return self._services.one_time_tokens.issue(
                recipient.user.id,
                purpose,
                sent_to=recipient.address,
                lifetime=token_purposes[purpose].lifetime,
                new_address=recipient.address,
            )


@pytest.fixture
def user(app: Flask) -> User:
    return a_user(app, "ada")


@pytest.fixture
def token(app: Flask, user: User) -> str:
    return a_session(app, user).access_token


@pytest.fixture
def mailbox(app: Flask, user: User) -> Any:
    with app.app_context():
        yield Mailbox(app, user)


@pytest.fixture
def services(app: Flask) -> Services:
    return Services.of(app)


@pytest.fixture
def change(api: Api, token: str, mailbox: Mailbox, services: Services) -> Callable[[str], None]:
    """A function that gives the account another address, as its owner does."""

    def run(address: str) -> None:
        services.address_changes.request(account("ada").id, address, PASSWORD, GUEST)
        services.address_changes.confirm(mailbox.link("change_email", address), PASSWORD, GUEST)

    return run


def account(username: str) -> User:
    found = select(User).where(User.username == username)
    return db.session.scalars(found.execution_options(populate_existing=True)).one()


def events(user_id: UUID) -> list[str]:
    ordered = select(AuditEvent).order_by(AuditEvent.occurred_at, AuditEvent.id)
    return [event.type for event in db.session.scalars(ordered.where(AuditEvent.subject_id == user_id))]


def ask(api: Api, token: str, email: str = NEW, **changes: Any) -> Any:
    return api("PUT", "/users/me/email", token, json={"email": email, "password": PASSWORD, **changes})


# --- asking for another address ---------------------------------------------------------------------------------------


def test_the_new_address_is_pending_until_it_is_confirmed(api: Api, token: str, user: User, mailbox: Mailbox) -> None:
    response = ask(api, token)
    assert (response.status_code, response.get_json()) == (202, {})
    account_json = api.get("/users/me", token).get_json()
    assert (account_json["email"], account_json["pending_email"]) == ("ada@example.com", "Countess@example.org")
    assert mailbox.mails() == [("change_email", "Countess@example.org")]
    assert events(user.id)[-1] == "email.change_requested"


def test_a_pending_address_is_shown_to_its_owner_alone_and_not_when_it_has_expired(
    app: Flask, api: Api, token: str, user: User, time: Time
) -> None:
    admin = a_session(app, a_user(app, roles=[ADMIN])).access_token
    ask(api, token)
    assert api("PATCH", "/users/me", token, json={}).get_json()["pending_email"] == "Countess@example.org"
    for path in (f"/users/{user.id}", "/users"):
        assert "pending_email" not in api.get(path, admin).get_data(as_text=True)
    time.passes(minutes=10)
    time.passes(token_purposes[TokenPurpose.CHANGE_EMAIL].lifetime - timedelta(minutes=10))
    later = a_session(app, user).access_token
    assert api.get("/users/me", later).get_json()["pending_email"] is None


def test_the_password_is_needed_where_there_is_one(app: Flask, api: Api, token: str, mailbox: Mailbox) -> None:
    problem(ask(api, token, password="not the password"), 403, "wrong_password")
    missing = api("PUT", "/users/me/email", token, json={"email": NEW})
    assert problem(missing, 422, "validation_failed")["errors"][0]["pointer"] == "#/password"
    assert mailbox.mails() == []


def test_a_login_that_is_not_recent_is_not_enough(api: Api, token: str, time: Time) -> None:
    time.passes(minutes=6)
    problem(ask(api, token), 401, "step_up_required")
    problem(api("DELETE", "/users/me/email", token), 401, "step_up_required")
    recent = api.post("/auth/step-ups", {"password": PASSWORD}, token).get_json()["access_token"]
    assert ask(api, recent).status_code == 202


@pytest.mark.parametrize("address", ["ada@example.com", "ADA@EXAMPLE.COM"])
def test_the_present_address_is_accepted_and_nothing_is_sent(
    api: Api, token: str, mailbox: Mailbox, address: str
) -> None:
    assert ask(api, token, address).status_code == 202
    assert mailbox.mails() == []
    assert api.get("/users/me", token).get_json()["pending_email"] is None


def test_an_address_that_is_taken_is_answered_like_one_that_is_free(
    app: Flask, api: Api, token: str, mailbox: Mailbox
) -> None:
    a_user(app, "grace")
    free = ask(api, token)
    taken = ask(api, token, "Grace@example.com")
    assert (taken.status_code, taken.get_json()) == (free.status_code, free.get_json())
    assert api.get("/users/me", token).get_json()["pending_email"] == "Grace@example.com"
    assert mailbox.sends_no_link("change_email", "Grace@example.com"), "no mail is sent to somebody who has an account"


def test_what_is_no_address_is_refused(api: Api, token: str) -> None:
    body = problem(ask(api, token, "not an address"), 422, "validation_failed")
    assert body["errors"][0]["pointer"] == "#/email"


def test_no_more_mails_are_stored_for_one_address_than_the_limit_allows(
    app: Flask, api: Api, token: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, mail_rate_limit=RateLimit(3, 3600))
    for _ in range(5):
        assert ask(api, token).status_code == 202
    assert len(mailbox.mails()) == 3


def test_a_change_that_is_withdrawn_cannot_be_confirmed(
    api: Api, token: str, user: User, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token)
    link = mailbox.link("change_email")
    for _ in range(2):
        assert api("DELETE", "/users/me/email", token).status_code == 204
    assert api.get("/users/me", token).get_json()["pending_email"] is None
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(link, PASSWORD, GUEST)
    assert mailbox.sends_no_link("change_email")
    assert events(user.id).count("email.change_withdrawn") == 1
    assert db.session.scalar(select(func.count()).select_from(OneTimeToken)) == 0


# --- confirming it ----------------------------------------------------------------------------------------------------


def test_the_link_changes_the_address_and_the_one_before_is_told(
    api: Api, token: str, user: User, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token)
    link, other = mailbox.link("change_email"), issue(services, user, TokenPurpose.RESET_PASSWORD)
    services.address_changes.confirm(link, PASSWORD, GUEST)
    account_json = api.get("/users/me", token).get_json()
    assert (account_json["email"], account_json["pending_email"]) == ("Countess@example.org", None)
    assert account_json["email_verified_at"] is not None
    assert mailbox.mails()[-1] == ("email_changed", "ada@example.com")
    assert events(user.id)[-1] == "email.changed"
    assert not is_good(services, other, TokenPurpose.RESET_PASSWORD), "a link to the old address resets nothing"
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(link, PASSWORD, GUEST)


def issue(services: Services, user: User, purpose: str) -> str:
    with transaction():
        return services.one_time_tokens.issue(user.id, purpose, sent_to=user.email, lifetime=timedelta(hours=1))


def is_good(services: Services, token: str, purpose: str) -> bool:
    return services.one_time_tokens.find(token, purpose) is not None


def test_hooks_are_told_the_address_before(app: Flask, change: Callable[[str], None]) -> None:
    seen: list[Any] = []

    def receive(_app: object, *, fields: set[str], previous: dict[str, str], **_: object) -> None:
        seen.append((fields, previous))

    with hooks.user_changing.connected_to(receive, sender=app):
        change("b@example.com")
    assert seen == [({"email"}, {"email": "ada@example.com"})]


def test_the_link_to_an_address_that_is_no_longer_wanted_is_void(
    api: Api, token: str, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token, "first@example.com")
    link = mailbox.link("change_email")
    ask(api, token, "second@example.com")
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(link, PASSWORD, GUEST)


def test_the_link_is_void_for_a_disabled_account(
    api: Api, token: str, user: User, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token)
    services.administration.disable(user.id, OPERATOR)
    assert mailbox.sends_no_link("change_email")
    stored = account("ada")
    with transaction():
        link = services.one_time_tokens.issue(
            stored.id, TokenPurpose.CHANGE_EMAIL, sent_to=NEW, lifetime=timedelta(hours=1), new_address=NEW
        )
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(link, PASSWORD, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_address_that_was_taken_meanwhile_leaves_the_link_good(
    app: Flask, api: Api, token: str, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token, "grace@example.com")
    link = mailbox.link("change_email")
    grace = a_user(app, "grace")
    with pytest.raises(EmailTaken):
        services.address_changes.confirm(link, PASSWORD, GUEST)
    services.administration.delete(grace.id, OPERATOR)
    services.address_changes.confirm(link, PASSWORD, GUEST)
    assert account("ada").email == "grace@example.com"


def test_the_request_expires_after_a_day(
    api: Api, token: str, mailbox: Mailbox, services: Services, time: Time
) -> None:
    ask(api, token)
    time.passes(hours=1)
    link = mailbox.link("change_email")
    time.passes(hours=23)
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(link, PASSWORD, GUEST)


# --- undoing it -------------------------------------------------------------------------------------------------------


def test_the_undo_link_restores_the_address_and_takes_everything_from_the_thief(
    app: Flask, api: Api, token: str, user: User, change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("thief@example.com")
    link = mailbox.link("email_changed")
    services.accounts.change_password(user.id, None, PASSWORD, STOLEN, GUEST)
    services.address_changes.request(user.id, "more@example.com", STOLEN, GUEST)
    later = issue(services, account("ada"), TokenPurpose.RESET_PASSWORD)
    session = api.log_in("ada", STOLEN).get_json()["access_token"]

    services.address_undo.confirm(link, GUEST)

    restored = account("ada")
    assert (restored.email, restored.pending_email, restored.password_hash) == ("ada@example.com", None, None)
    assert restored.email_verified_at is not None
    problem(api.get("/users/me", session), 401, "token_revoked")
    problem(api.log_in("ada", STOLEN), 401, "invalid_credentials")
    assert mailbox.mails()[-1] == ("password_voided", None)
    mailbox.link("password_voided")
    assert not is_good(services, later, TokenPurpose.RESET_PASSWORD)
    assert {"email.change_undone", "password.voided"} <= set(events(user.id))
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(link, GUEST)


def test_the_undo_of_a_later_change_does_not_void_that_of_an_earlier_one(
    change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("b@example.com")
    first = mailbox.link("email_changed", "ada@example.com")
    change("c@example.com")
    second = mailbox.link("email_changed", "b@example.com")
    services.address_undo.confirm(second, GUEST)
    assert account("ada").email == "b@example.com"
    services.address_undo.confirm(first, GUEST)
    assert account("ada").email == "ada@example.com"


def test_the_undo_of_an_earlier_change_voids_those_of_later_ones(
    change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("b@example.com")
    first = mailbox.link("email_changed", "ada@example.com")
    change("c@example.com")
    second = mailbox.link("email_changed", "b@example.com")
    services.address_undo.confirm(first, GUEST)
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(second, GUEST)
    assert mailbox.sends_no_link("email_changed", "b@example.com"), "and a mail that is late has no link"
    assert account("ada").email == "ada@example.com"


def test_no_number_of_changes_and_mails_pushes_out_the_first_undo_link(
    change: Callable[[str], None], mailbox: Mailbox, services: Services, time: Time
) -> None:
    change("b0@example.com")
    first = mailbox.link("email_changed", "ada@example.com")
    for number in range(1, MAX_KEPT + 2):
        time.passes(minutes=1)
        change(f"b{number}@example.com")
    for _ in range(MAX_PER_PURPOSE):
        time.passes(seconds=1)
        mailbox.link("email_changed", "b0@example.com")
    notified = [address for kind, address in mailbox.mails() if kind == "email_changed"]
    assert notified == ["ada@example.com", *(f"b{number}@example.com" for number in range(MAX_KEPT - 1))]
    assert mailbox.mails()[-1] == ("address_replaced", f"b{MAX_KEPT}@example.com"), "told, without a link"
    services.address_undo.confirm(first, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_undo_link_is_good_for_three_days(
    change: Callable[[str], None], mailbox: Mailbox, services: Services, time: Time
) -> None:
    change("b@example.com")
    time.passes(hours=23, minutes=59)
    late = mailbox.link("email_changed")
    time.passes(hours=71, minutes=59)
    services.address_undo.confirm(late, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_undo_link_that_is_older_than_three_days_is_void(
    change: Callable[[str], None], mailbox: Mailbox, services: Services, time: Time
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    time.passes(hours=72)
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(link, GUEST)
    time.passes(hours=72)
    assert mailbox.sends_no_link("email_changed"), "its mail may have been three days late"


def test_an_undo_waits_until_a_disabled_account_is_enabled(
    user: User, change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    services.administration.disable(user.id, OPERATOR)
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(link, GUEST)
    services.administration.enable(user.id, OPERATOR)
    services.address_undo.confirm(link, GUEST)
    assert account("ada").email == "ada@example.com"


def test_who_only_typed_the_address_gives_way_to_who_reads_its_mail(
    app: Flask, change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    squatter, deleted = a_user(app, "squatter", email="ada@example.com"), []

    def receive(_app: object, *, user_id: UUID, **_: object) -> None:
        deleted.append(user_id)

    with hooks.user_deleted.connected_to(receive, sender=app):
        services.address_undo.confirm(link, GUEST)
    assert account("ada").email == "ada@example.com"
    assert deleted == [squatter.id]
    assert db.session.scalar(select(User.id).where(User.id == squatter.id)) is None
    assert events(squatter.id)[-1] == "user.deleted"


@pytest.mark.parametrize("kept_for", ["verified", "role"])
def test_who_proved_to_have_the_address_keeps_it_and_so_does_who_has_a_role(
    app: Flask, change: Callable[[str], None], mailbox: Mailbox, services: Services, time: Time, kept_for: str
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    holder = a_user(app, "grace", email="ada@example.com", roles=[ADMIN] if kept_for == "role" else [])
    if kept_for == "verified":
        with transaction():
            account("grace").set_verified(time.now)
    with pytest.raises(EmailTaken):
        services.address_undo.confirm(link, GUEST)
    a_user(app, roles=[ADMIN])  # or the holder could not be deleted
    services.administration.delete(holder.id, OPERATOR)
    services.address_undo.confirm(link, GUEST)
    assert account("ada").email == "ada@example.com"


@pytest.mark.parametrize("token", ["", "x", "A" * 64])
def test_what_is_no_token_confirms_nothing(services: Services, app: Flask, token: str) -> None:
    with app.app_context():
        with pytest.raises(OneTimeTokenInvalid):
            services.address_changes.confirm(token, PASSWORD, GUEST)
        with pytest.raises(OneTimeTokenInvalid):
            services.address_undo.confirm(token, GUEST)


def test_a_token_of_one_purpose_confirms_nothing_else(
    api: Api, token: str, user: User, change: Callable[[str], None], mailbox: Mailbox, services: Services
) -> None:
    change("b@example.com")
    undo = mailbox.link("email_changed")
    services.address_changes.request(user.id, "c@example.com", PASSWORD, GUEST)
    confirm = mailbox.link("change_email")
    with pytest.raises(OneTimeTokenInvalid):
        services.address_changes.confirm(undo, PASSWORD, GUEST)
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(confirm, GUEST)


# --- administrators ---------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(app: Flask) -> str:
    return a_session(app, a_user(app, roles=[ADMIN])).access_token


def test_an_address_that_an_administrator_sets_is_to_be_verified_and_the_one_before_is_told(
    api: Api,
    admin: str,
    user: User,
    change: Callable[[str], None],
    mailbox: Mailbox,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services.notices, "_verification", "optional")
    change("b@example.com")
    undo = mailbox.link("email_changed")
    before = len(mailbox.mails())
    response = api("PATCH", f"/users/{user.id}", admin, json={"email": "set@example.com"})
    assert response.status_code == 200
    assert response.get_json()["email_verified_at"] is None
    assert mailbox.mails()[before:] == [("address_replaced", "b@example.com"), ("verify_email", "set@example.com")]
    assert mailbox.sends_no_link("address_replaced"), "the administrator may act because that mailbox is lost"
    with pytest.raises(OneTimeTokenInvalid):
        services.address_undo.confirm(undo, GUEST)
    assert account("ada").email == "set@example.com"


def test_an_address_that_is_set_again_and_again_is_asked_no_more_often_than_the_limit_allows(
    user: User, mailbox: Mailbox, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.notices, "_verification", "optional")
    monkeypatch.setattr(services.mail_requests, "_limit", RateLimit(3, 3600))
    for _ in range(5):
        for address in ("set@example.com", "ada@example.com"):
            services.administration.change(user.id, Changes(email=address), OPERATOR)
    sent = [address for kind, address in mailbox.mails() if kind == "verify_email"]
    assert sent == ["set@example.com", "ada@example.com"] * 3


def test_whoever_changes_the_account_withdraws_the_address_that_its_user_asked_for(
    api: Api, token: str, user: User, mailbox: Mailbox, services: Services
) -> None:
    ask(api, token)
    services.administration.change(user.id, Changes(username="countess"), OPERATOR)
    assert account("countess").pending_email is not None
    services.administration.change(user.id, Changes(email="set@example.com"), OPERATOR)
    assert account("countess").pending_email is None
    assert mailbox.sends_no_link("change_email")


def test_an_administrator_changes_their_own_address_as_every_user_does(app: Flask, api: Api) -> None:
    """A thief of the session would need neither the password nor the mailbox."""
    boss = a_user(app, "boss", roles=[ADMIN])
    session = a_session(app, boss).access_token
    body = {"email": "thief@example.com", "username": "chief"}
    refused = problem(api("PATCH", f"/users/{boss.id}", session, json=body), 422, "validation_failed")
    assert refused["errors"] == [{"pointer": "#/email", "detail": "Ask for your own new address with /users/me/email."}]
    same = {"email": "boss@example.com", "username": "chief"}
    assert api("PATCH", f"/users/{boss.id}", session, json=same).status_code == 200
    with app.app_context():
        assert (account("chief").email, Mailbox(app, boss).mails()) == ("boss@example.com", [])


def test_another_address_needs_a_recent_login_of_the_administrator(
    api: Api, app: Flask, user: User, time: Time
) -> None:
    stale = a_session(app, a_user(app, roles=[ADMIN])).access_token
    time.passes(minutes=6)
    changed = api("PATCH", f"/users/{user.id}", stale, json={"email": "set@example.com"})
    problem(changed, 401, "step_up_required")
    for harmless in ({"email": "ada@example.com"}, {"username": "countess"}):
        assert api("PATCH", f"/users/{user.id}", stale, json=harmless).status_code == 200


def test_a_forced_reset_voids_the_password_and_mails_a_link(
    app: Flask, api: Api, admin: str, user: User, token: str, mailbox: Mailbox
) -> None:
    for _ in range(3):
        api.log_in("ada", "not the password")
    failures = select(func.count()).select_from(LoginThrottle).where(LoginThrottle.account_id == user.id)
    assert db.session.scalar(failures) == 1
    assert api("PUT", f"/users/{user.id}/password", admin, json={}).status_code == 204
    assert db.session.scalar(failures) == 0
    problem(api.get("/users/me", token), 401, "token_revoked")
    problem(api.log_in("ada"), 401, "invalid_credentials")
    assert mailbox.mails() == [("password_voided", None)]
    mailbox.link("password_voided")
    assert events(user.id)[-2:] == ["password.voided", "login.refused"]


def test_a_forced_reset_takes_no_password_and_keeps_to_what_one_may_manage(
    app: Flask, api: Api, admin: str, user: User, services: Services
) -> None:
    problem(api("PUT", f"/users/{user.id}/password", admin, json={"new_password": "x" * 12}), 422, "validation_failed")
    with app.app_context():
        services.roles.create("support", ["users:write"], context=OPERATOR)
    support = a_session(app, a_user(app, roles=["support"])).access_token
    boss = a_user(app, roles=[ADMIN])
    problem(api("PUT", f"/users/{boss.id}/password", support, json={}), 403, "permission_denied")
    assert api("PUT", f"/users/{user.id}/password", support, json={}).status_code == 204
    problem(api("PUT", f"/users/{UUID(int=1)}/password", admin, json={}), 404, "not_found")


# --- notices ----------------------------------------------------------------------------------------------------------


def test_a_new_password_is_told_whoever_set_it(
    api: Api, token: str, user: User, mailbox: Mailbox, services: Services
) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long sentence"}
    assert api("PUT", "/users/me/password", token, json=body).status_code == 204
    services.administration.set_password(user.id, "yet another sentence", OPERATOR)
    assert mailbox.mails() == [("password_changed", None)] * 2


def test_a_notice_is_stored_with_the_change_or_not_at_all(
    app: Flask, user: User, mailbox: Mailbox, services: Services
) -> None:
    def fail(_app: object, **_: object) -> None:
        raise ZeroDivisionError

    with hooks.user_changing.connected_to(fail, sender=app), pytest.raises(ZeroDivisionError):
        services.administration.change(user.id, Changes(email="set@example.com"), OPERATOR)
    assert mailbox.mails() == []


def test_other_changes_are_not_told(user: User, mailbox: Mailbox, services: Services) -> None:
    services.administration.change(user.id, Changes(username="countess", status=UserStatus.DISABLED), OPERATOR)
    assert mailbox.mails() == []


def test_a_login_is_told_where_that_is_wanted_and_stands_if_that_fails(
    databases: Databases, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, **mail(tmp_path, mail_new_login="on")))
        user, api = a_user(app), Api(app.test_client())
        assert api.log_in(user.username).status_code == 200
        with app.app_context():
            assert Mailbox(app, user).mails() == [("new_login", None)]

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(Services.of(app).notices._outbox, "add", fail)
        assert api.log_in(user.username).status_code == 200
        dispose(app)


def test_without_mail_nothing_of_this_is_there(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url, mail_url=None))
        user, api = a_user(app), Api(app.test_client())
        token = a_session(app, user).access_token
        admin = a_session(app, a_user(app, roles=[ADMIN])).access_token
        problem(ask(api, token), 404, "not_found")
        boss = api.get("/users/me", admin).get_json()["id"]
        assert api("PATCH", f"/users/{boss}", admin, json={"email": "boss@example.org"}).status_code == 200
        problem(api("PUT", f"/users/{user.id}/password", admin, json={}), 404, "not_found")
        problem(api.post("/auth/login-links", {"email": user.email}), 404, "not_found")
        with app.app_context():
            Services.of(app).administration.set_password(user.id, "another long sentence", OPERATOR)
            assert Mailbox(app, user).mails() == []
        dispose(app)
