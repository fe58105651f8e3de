"""The outbox: a mail is stored with what it tells of, or not at all; and one sender at a time has it."""

import threading
import time as system_time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask, current_app
from sqlalchemy import LargeBinary, func, select, text, update

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain.mail import outbox, recipients
from authapp.domain.mail.kinds import MailKind, mail_kinds
from authapp.domain.mail.outbox import DEFERRAL
from authapp.domain.services import Services
from authapp.models import OutgoingMail
from authapp.security import identifiers
from clocks import Time
from factories import GUEST

LEASE = timedelta(minutes=5)
CONTEXT = RequestContext(
    ip_address="192.0.2.7", user_agent="a browser", request_id="r-1", principal=None, locale="de-AT"
)


@pytest.fixture(autouse=True)
def app_context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def add(kind: str = "login_link", user_id: UUID | None = None) -> UUID:
    with transaction():
        return outbox.add(kind, user_id=user_id, address="ada@example.com", context=CONTEXT)


def claim(count: int = 10, lease: timedelta = LEASE) -> list[UUID]:
    with transaction():
        return [mail.id for mail in outbox.claim(count, lease)]


def mail(mail_id: UUID) -> OutgoingMail:
    return db.session.get_one(OutgoingMail, mail_id, populate_existing=True)


def test_a_mail_says_whom_to_tell_what_and_for_which_request(time: Time) -> None:
    user_id = identifiers.time_ordered()
    stored = mail(add("reset_password", user_id))
    assert (stored.kind, stored.user_id, stored.address) == ("reset_password", user_id, "ada@example.com")
    assert stored.context == {"request_id": "r-1", "ip_address": "192.0.2.7", "device": None, "locale": "de-AT"}
    assert (stored.attempts, stored.claimed_until, stored.last_error) == (0, None, None)
    assert (stored.created_at, stored.next_attempt_at) == (time.now, time.now)


def test_a_mail_is_stored_with_its_transaction_or_not_at_all() -> None:
    def add_and_fail() -> None:
        with transaction():
            outbox.add("login_link", user_id=None, address="a@example.com", context=CONTEXT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert claim() == []
    wanted = add()
    assert claim() == [wanted]


def test_the_table_has_no_place_for_a_secret_or_a_text() -> None:
    columns = {column.name for column in OutgoingMail.__table__.columns}
    assert columns == {
        *("id", "kind", "user_id", "address", "challenge_hash", "context", "details"),
        *("attempts", "next_attempt_at", "claimed_until", "last_error", "created_at"),
    }, "Make the token and the text when the mail is sent: a row outlives backups, and is read by operators."
    assert isinstance(OutgoingMail.__table__.c.challenge_hash.type, LargeBinary)


def test_a_mail_has_the_details_that_its_kind_needs_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = MailKind(recipients.owner, examples=[{"total": 12, "number": "7"}])
    monkeypatch.setitem(mail_kinds._values, "invoice_ready", kind)

    def stored(**details: str | int) -> dict[str, str | int]:
        with transaction():
            added = outbox.add("invoice_ready", user_id=None, address=None, context=CONTEXT, details=details)
        return mail(added).details

    assert stored(number="7", total=12) == {"number": "7", "total": 12}
    for details in ({}, {"number": "7"}, {"number": "7", "total": 12, "more": 1}):
        with pytest.raises(ValueError, match=r"needs the details \['number', 'total'\]"):
            stored(**details)
    assert mail(add()).details == {}


def test_a_mail_of_a_kind_that_is_not_registered_is_not_stored() -> None:
    with pytest.raises(KeyError, match="no_such_kind"):
        add("no_such_kind")
    assert claim() == []


@pytest.mark.parametrize(("kind", "error"), [("no_such_kind", KeyError), ("recovery_code_used", ValueError)])
def test_a_guest_requests_no_kind_that_is_not_registered_or_has_details(kind: str, error: type[Exception]) -> None:
    counted = Services.of(current_app).mail.counted
    with pytest.raises(error, match=kind), transaction():
        counted.store_in_transaction(kind, "ada@example.com", GUEST)
    with pytest.raises(error, match=kind):
        counted.store_and_commit(kind, "ada@example.com", GUEST)
    assert claim() == []


def test_a_claimed_mail_is_this_senders_until_the_lease_is_over(time: Time) -> None:
    wanted = add()
    assert claim() == [wanted]
    time.passes(LEASE - timedelta(seconds=1))
    assert claim() == []
    time.passes(timedelta(seconds=1))
    assert claim() == [wanted]
    assert mail(wanted).attempts == 2


def test_a_node_whose_clock_is_fast_takes_no_mail_that_another_is_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    add()
    with transaction():
        sending = outbox.claim(1, LEASE)[0]
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: sending.created_at + 10 * LEASE)
        assert claim() == []
        with transaction():
            assert outbox.extend_lease(sending, LEASE)
    assert sending.claimed_until is not None
    assert sending.claimed_until < sending.created_at + 2 * LEASE


def test_no_more_are_claimed_than_asked_for_and_the_longest_due_first(time: Time) -> None:
    added = []
    for _ in range(7):
        time.passes(timedelta(seconds=1))
        added.append(add())
    for count in (2, 3, 2, 1):
        assert claim(count) == added[:count]
        added = added[count:]
    assert added == []


def test_the_number_is_kept_also_when_the_planner_knows_the_table() -> None:
    """PostgreSQL may run a subquery with a limit once for each row that it looks at."""
    for _ in range(50):
        add()
    for setting in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "indexscan", "bitmapscan", "seqscan"):
        db.session.execute(text("ANALYZE outgoing_mail"))
        db.session.execute(text(f"SET LOCAL enable_{setting} = off"))
        assert len(outbox.claim(3, LEASE)) == 3, setting
    db.session.rollback()


def test_a_mail_that_was_sent_is_gone(time: Time) -> None:
    sent, other = add(), add()
    claim()
    with transaction():
        outbox.remove(mail(sent))
    time.passes(LEASE)
    assert claim() == [other]


def test_the_delays_double_up_to_an_hour(time: Time) -> None:
    wanted, delays = add(), []
    for _ in range(60):
        assert claim() == [wanted]
        with transaction():
            outbox.postpone(mail(wanted), "the server did not answer")
        delay = mail(wanted).next_attempt_at - time.now
        delays.append(delay.total_seconds())
        time.passes(delay - timedelta(seconds=1))
        assert claim() == []
        time.passes(timedelta(seconds=1))
    expected = [30, 60, 120, 240, 480, 960, 1920, *[3600] * 53]
    for delay, shortest in zip(delays, expected, strict=True):
        assert shortest <= delay <= shortest * 1.2
    assert len(set(delays)) > 10, "mails that failed together are not all tried at once"


def test_a_mail_that_another_sender_has_claimed_is_neither_released_nor_removed(time: Time) -> None:
    wanted = add()
    with transaction():
        late = outbox.claim(1, LEASE)[0]
    db.session.expunge_all()
    time.passes(LEASE)
    assert claim() == [wanted]
    until = mail(wanted).claimed_until
    with transaction():
        assert not outbox.extend_lease(late, LEASE)
        outbox.release([late])
        outbox.defer(late)
        outbox.postpone(late, "no")
        outbox.remove(late)
    assert (mail(wanted).claimed_until, mail(wanted).last_error, mail(wanted).attempts) == (until, None, 2)


def test_a_renewed_claim_lasts_longer(time: Time) -> None:
    wanted = add()
    with transaction():
        claimed = outbox.claim(1, LEASE)[0]
    time.passes(LEASE - timedelta(seconds=1))
    with transaction():
        assert outbox.extend_lease(claimed, LEASE)
    time.passes(LEASE - timedelta(seconds=1))
    assert claim() == []
    time.passes(timedelta(seconds=1))
    assert claim() == [wanted]


def test_a_mail_that_is_released_is_due_at_once_and_its_attempt_does_not_count() -> None:
    wanted = add()
    with transaction():
        outbox.release(outbox.claim(1, LEASE))
    assert mail(wanted).attempts == 0
    assert claim() == [wanted]


def test_a_mail_that_is_deferred_is_due_after_the_others_and_its_attempt_does_not_count(time: Time) -> None:
    first = add()
    time.passes(timedelta(seconds=1))
    second = add()
    with transaction():
        outbox.defer(outbox.claim(1, LEASE)[0])
    assert mail(first).attempts == 0
    time.passes(DEFERRAL - timedelta(seconds=1))
    with transaction():
        outbox.release(outbox.claim(2, LEASE))
    assert mail(first).claimed_until is None
    time.passes(timedelta(seconds=1))
    assert claim() == [second, first]


def test_a_mail_that_was_tried_as_often_as_can_be_counted_is_still_tried(time: Time) -> None:
    wanted = add()
    with transaction():
        db.session.execute(update(OutgoingMail).values(attempts=32_767))
    for _ in range(2):
        assert claim() == [wanted]
        with transaction():
            outbox.postpone(mail(wanted), "no")
        time.passes(timedelta(hours=2))


def test_a_postponed_mail_keeps_the_reason_in_short_and_is_nobodys() -> None:
    wanted = add()
    claim()
    with transaction():
        outbox.postpone(mail(wanted), "x" * 10_000)
    assert mail(wanted).last_error == "x" * 500
    assert mail(wanted).claimed_until is None


@pytest.mark.committed
def test_no_mail_is_claimed_by_two(app: Flask) -> None:
    with app.app_context():
        added = {add() for _ in range(60)}

    def empty() -> list[UUID]:
        claimed: list[UUID] = []
        while batch := claim(4):
            claimed += batch
        return claimed

    outcomes = at_once(app, *[empty] * 6)
    claimed = [mail_id for outcome in outcomes for mail_id in outcome]
    assert len(claimed) == len(set(claimed))
    # Whoever found nothing but rows that others were claiming went home: the next round has what they left.
    with app.app_context():
        claimed += claim(60)
        assert set(claimed) == added
        assert db.session.scalar(select(func.max(OutgoingMail.attempts))) == 1


@pytest.mark.committed
def test_a_sender_does_not_wait_for_one_that_is_claiming(app: Flask) -> None:
    with app.app_context():
        first, second = add(), add()
    holding, done = threading.Event(), threading.Event()

    def hold() -> list[UUID]:
        with transaction():
            claimed = [each.id for each in outbox.claim(1, LEASE)]
            holding.set()
            assert done.wait(20)
        return claimed

    def pass_by() -> tuple[list[UUID], float]:
        assert holding.wait(20)
        start = system_time.monotonic()
        claimed = claim(2)
        seconds = system_time.monotonic() - start
        done.set()
        return claimed, seconds

    slow, (quick, seconds) = at_once(app, hold, pass_by)
    assert (slow, quick) == ([first], [second])
    assert seconds < 1


@pytest.mark.committed
def test_a_claim_that_was_not_committed_is_none(app: Flask) -> None:
    with app.app_context():
        wanted = add()
        outbox.claim(1, LEASE)
        db.session.rollback()
        assert claim() == [wanted]
        assert mail(wanted).attempts == 1


def test_a_guest_has_a_context_as_well() -> None:
    with transaction():
        wanted = outbox.add("login_link", user_id=None, address=None, context=GUEST)
    assert mail(wanted).context == {"request_id": None, "ip_address": GUEST.ip_address, "device": None, "locale": None}
