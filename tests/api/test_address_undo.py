"""Undoing a change of address, with the link in the mail to the previous address."""

from collections.abc import Callable
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from account_mailbox import AccountMailbox, account, events, is_good, issue
from authapp import hooks
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.email import address_undo
from authapp.domain.email.previous_addresses import MAX_KEPT
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE, FoundToken
from authapp.domain.services import Services
from authapp.domain.token_purposes import TokenPurpose
from authapp.errors import EmailTaken, OneTimeTokenInvalid
from authapp.models import User
from authapp.models.role import ADMIN
from clocks import Time
from factories import GUEST, PASSWORD, Api, a_user, an_api_key, problem

STOLEN = "what somebody else has chosen"


def test_the_undo_link_restores_the_address_and_takes_everything_from_the_thief(
    app: Flask,
    api: Api,
    token: str,
    user: User,
    change: Callable[[str], None],
    mailbox: AccountMailbox,
    services: Services,
) -> None:
    change("thief@example.com")
    link = mailbox.link("email_changed")
    services.accounts.change_password(user.id, None, PASSWORD, STOLEN, GUEST)
    services.email.address_changes.request(user.id, "more@example.com", STOLEN, GUEST)
    later = issue(services, account("ada"), TokenPurpose.RESET_PASSWORD)
    session = api.log_in("ada", STOLEN).get_json()["access_token"]
    key = an_api_key(app, user)

    services.email.link_confirmations.confirm(link, None, GUEST)

    restored = account("ada")
    assert (restored.email, restored.pending_email, restored.password_hash) == ("ada@example.com", None, None)
    assert restored.email_verified_at is not None
    problem(api.get("/users/me", session), 401, "token_revoked")
    problem(api.get("/users/me", key), 401, "token_invalid")
    problem(api.log_in("ada", STOLEN), 401, "invalid_credentials")
    assert mailbox.mails()[-2:] == [
        ("email_changed_notice", "thief@example.com"),
        ("password_voided", "ada@example.com"),
    ]
    mailbox.link("password_voided")
    assert not is_good(services, later, TokenPurpose.RESET_PASSWORD)
    assert {"email.change_undone", "password.voided"} <= set(events(user.id))
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, None, GUEST)


def test_keys_from_before_the_change_are_the_owners(
    app: Flask,
    api: Api,
    user: User,
    change: Callable[[str], None],
    mailbox: AccountMailbox,
    services: Services,
    time: Time,
) -> None:
    services.email.verifications.mark(user.id, OPERATOR)
    key = an_api_key(app, user)
    time.passes(seconds=1)
    change("thief@example.com")
    services.email.link_confirmations.confirm(mailbox.link("email_changed"), None, GUEST)
    assert api.get("/users/me", key).status_code == 200


def test_the_undo_of_a_later_change_does_not_void_that_of_an_earlier_one(
    change: Callable[[str], None], mailbox: AccountMailbox, services: Services
) -> None:
    change("b@example.com")
    first = mailbox.link("email_changed", "ada@example.com")
    change("c@example.com")
    second = mailbox.link("email_changed", "b@example.com")
    services.email.link_confirmations.confirm(second, None, GUEST)
    assert account("ada").email == "b@example.com"
    services.email.link_confirmations.confirm(first, None, GUEST)
    assert account("ada").email == "ada@example.com"


def test_the_undo_of_an_earlier_change_voids_those_of_later_ones(
    change: Callable[[str], None], mailbox: AccountMailbox, services: Services
) -> None:
    change("b@example.com")
    first = mailbox.link("email_changed", "ada@example.com")
    change("c@example.com")
    second = mailbox.link("email_changed", "b@example.com")
    services.email.link_confirmations.confirm(first, None, GUEST)
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(second, None, GUEST)
    assert mailbox.sends_no_link("email_changed", "b@example.com"), "and a mail that is late has no link"
    assert account("ada").email == "ada@example.com"


def test_no_number_of_changes_and_mails_pushes_out_the_first_undo_link(
    change: Callable[[str], None], mailbox: AccountMailbox, services: Services, time: Time
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
    assert mailbox.mails()[-1] == ("email_changed_notice", f"b{MAX_KEPT}@example.com"), "told, without a link"
    services.email.link_confirmations.confirm(first, None, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_undo_link_is_good_for_three_days(
    change: Callable[[str], None], mailbox: AccountMailbox, services: Services, time: Time
) -> None:
    change("b@example.com")
    time.passes(hours=23, minutes=59)
    late = mailbox.link("email_changed")
    time.passes(hours=71, minutes=59)
    services.email.link_confirmations.confirm(late, None, GUEST)
    assert account("ada").email == "ada@example.com"


def test_an_undo_link_that_is_older_than_three_days_is_void(
    change: Callable[[str], None], mailbox: AccountMailbox, services: Services, time: Time
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    time.passes(hours=72)
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, None, GUEST)
    time.passes(hours=72)
    assert mailbox.sends_no_link("email_changed"), "its mail may have been three days late"


def test_an_undo_waits_until_a_disabled_account_is_enabled(
    user: User, change: Callable[[str], None], mailbox: AccountMailbox, services: Services
) -> None:
    change("b@example.com")
    link = mailbox.link("email_changed")
    services.administration.disable(user.id, OPERATOR)
    with pytest.raises(OneTimeTokenInvalid):
        services.email.link_confirmations.confirm(link, None, GUEST)
    services.administration.enable(user.id, OPERATOR)
    services.email.link_confirmations.confirm(link, None, GUEST)
    assert account("ada").email == "ada@example.com"


def test_who_only_typed_the_address_gives_way_to_who_reads_its_mail(
    app: Flask, user: User, change: Callable[[str], None], mailbox: AccountMailbox, services: Services
) -> None:
    services.email.verifications.mark(user.id, OPERATOR)
    change("b@example.com")
    link = mailbox.link("email_changed")
    squatter, deleted = a_user(app, "squatter", email="ada@example.com"), []

    def receive(_app: object, *, user_id: UUID, **_: object) -> None:
        deleted.append(user_id)

    with hooks.user_deleted.connected_to(receive, sender=app):
        services.email.link_confirmations.confirm(link, None, GUEST)
    assert account("ada").email == "ada@example.com"
    assert deleted == [squatter.id]
    assert db.session.scalar(select(User.id).where(User.id == squatter.id)) is None
    assert events(squatter.id)[-1] == "user.deleted"


def test_an_account_that_took_the_address_after_the_locks_is_not_deleted(
    app: Flask,
    user: User,
    change: Callable[[str], None],
    mailbox: AccountMailbox,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.email.verifications.mark(user.id, OPERATOR)
    change("b@example.com")
    link, lock = mailbox.link("email_changed"), address_undo._lock_with_holder

    def lock_and_be_late(found: FoundToken) -> set[UUID]:
        locked = lock(found)
        a_user(app, "late", email="ada@example.com")
        return locked

    with monkeypatch.context() as late:
        late.setattr(address_undo, "_lock_with_holder", lock_and_be_late)
        with pytest.raises(EmailTaken):
            services.email.link_confirmations.confirm(link, None, GUEST)
    services.email.link_confirmations.confirm(link, None, GUEST)
    assert account("ada").email == "ada@example.com"


@pytest.mark.parametrize("kept_for", ["verified", "role"])
def test_who_proved_to_have_the_address_keeps_it_and_so_does_who_has_a_role(
    app: Flask,
    user: User,
    change: Callable[[str], None],
    mailbox: AccountMailbox,
    services: Services,
    time: Time,
    kept_for: str,
) -> None:
    services.email.verifications.mark(user.id, OPERATOR)
    change("b@example.com")
    link = mailbox.link("email_changed")
    holder = a_user(app, "grace", email="ada@example.com", roles=[ADMIN] if kept_for == "role" else [])
    if kept_for == "verified":
        with transaction():
            account("grace").set_verified(time.now)
    with pytest.raises(EmailTaken):
        services.email.link_confirmations.confirm(link, None, GUEST)
    a_user(app, roles=[ADMIN])  # or the holder could not be deleted
    services.administration.delete(holder.id, OPERATOR)
    services.email.link_confirmations.confirm(link, None, GUEST)
    assert account("ada").email == "ada@example.com"
