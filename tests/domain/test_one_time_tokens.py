"""One-time tokens: used once, for one purpose, before they expire; and stored as a hash alone."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from concurrently import at_once
from flask import Flask, current_app
from sqlalchemy import func, select

import authapp
from authapp import clock
from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain import one_time_tokens
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE, TooManyTokens, UsedToken
from authapp.domain.services import Services
from authapp.domain.token_purposes import PurposeRule, TokenPurpose, token_purposes
from authapp.domain.users.administration import Changes
from authapp.domain.voiding_fields import voiding_fields
from authapp.models import OneTimeToken, User, UserStatus
from authapp.security import base64url, identifiers
from authapp.security.user_tokens import SECRET_BYTES
from clocks import Time
from factories import a_user

HOUR = timedelta(hours=1)
PURPOSES = [TokenPurpose.VERIFY_EMAIL, TokenPurpose.RESET_PASSWORD, TokenPurpose.LOGIN]
LIFETIME = token_purposes[PURPOSES[0]].lifetime
ADDRESS = "Ada@Example.com"


@pytest.fixture(autouse=True)
def app_context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def issue(user: User, purpose: str = PURPOSES[0], **changes: Any) -> str:
    with transaction():
        return one_time_tokens.issue(user.id, purpose, **{"sent_to": ADDRESS, **changes})


def use(token: str, purpose: str = PURPOSES[0]) -> UsedToken | None:
    with transaction():
        return one_time_tokens.use(token, purpose)


def count(**which: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(OneTimeToken).filter_by(**which)) or 0


def test_a_token_is_used_once_and_says_whose_it_is(user: User) -> None:
    token = issue(user)
    assert use(token) == UsedToken(user.id, "ada@example.com")
    assert use(token) is None


@pytest.mark.parametrize("issued", PURPOSES)
@pytest.mark.parametrize("wanted", PURPOSES)
def test_a_token_is_good_for_its_own_purpose_alone(user: User, issued: str, wanted: str) -> None:
    token = issue(user, issued)
    if issued != wanted:
        assert use(token, wanted) is None
    assert use(token, issued) is not None


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_token_is_good_for_the_lifetime_of_its_purpose(user: User, time: Time, purpose: str) -> None:
    early, late = issue(user, purpose), issue(a_user_like(user), purpose)
    time.passes(token_purposes[purpose].lifetime - timedelta(seconds=1))
    assert use(early, purpose) is not None
    time.passes(timedelta(seconds=1))
    assert use(late, purpose) is None


def test_a_newer_token_does_not_void_the_one_that_somebody_holds(user: User, time: Time) -> None:
    first = issue(user)
    time.passes(timedelta(seconds=1))
    issue(user)
    assert use(first) is not None


def test_beyond_five_none_is_issued_and_none_that_somebody_holds_is_void(user: User, time: Time) -> None:
    issued = []
    for _ in range(MAX_PER_PURPOSE):
        time.passes(timedelta(seconds=1))
        issued.append(issue(user))
    for _ in range(2):
        with pytest.raises(TooManyTokens):
            issue(user)
    assert count(user_id=user.id) == MAX_PER_PURPOSE == 5
    for token in issued:
        assert one_time_tokens.find(token, PURPOSES[0]) is not None
    other_purpose, other_user = issue(user, PURPOSES[1]), issue(a_user_like(user))
    assert use(issued[0]) is not None
    assert use(other_purpose, PURPOSES[1]) is not None
    assert use(other_user) is not None


def test_a_mail_that_is_sent_again_has_two_and_takes_the_room_of_one(user: User, time: Time) -> None:
    mails = [identifiers.time_ordered() for _ in range(MAX_PER_PURPOSE)]
    sent: dict[UUID, list[str]] = {mail: [] for mail in mails}
    for mail in mails * 4:
        time.passes(timedelta(seconds=1))
        sent[mail].append(issue(user, mail_id=mail))
    for mail in mails:
        assert [one_time_tokens.find(token, PURPOSES[0]) is not None for token in sent[mail]] == [
            False,
            False,
            True,
            True,
        ]
    for other in (None, identifiers.time_ordered()):
        with pytest.raises(TooManyTokens):
            issue(user, mail_id=other)
    assert use(sent[mails[0]][-2]) is not None
    assert count(user_id=user.id) == 0


def test_one_that_has_expired_makes_room_and_is_deleted(user: User, time: Time) -> None:
    expiring = issue(user)
    time.passes(LIFETIME - timedelta(minutes=1))
    for _ in range(MAX_PER_PURPOSE - 1):
        issue(user)
    time.passes(timedelta(minutes=1))
    issue(user)
    assert count(token_hash=sha256(base64url.decode(expiring)).digest()) == 0
    with pytest.raises(TooManyTokens):
        issue(user)


@pytest.mark.parametrize("survives", [True, False])
def test_a_project_can_register_a_purpose_of_its_own(app: Flask, user: User, *, survives: bool) -> None:
    rule = PurposeRule(timedelta(days=7), survives_changes=survives)
    purpose = token_purposes.register("accept_invitation", rule)
    try:
        token = issue(user, purpose)
        Services.of(app).administration.set_password(user.id, "another long sentence", OPERATOR)
        assert (use(token, purpose) is not None) is survives
    finally:
        token_purposes.unregister(purpose)


def a_user_like(user: User) -> User:
    services = Services.of(current_app)
    return services.accounts.create(username="other", email="other@example.com", password=None, context=OPERATOR)


def test_what_has_expired_does_not_push_out_what_is_live(user: User, time: Time) -> None:
    for _ in range(3):
        issue(user)
    time.passes(LIFETIME - timedelta(minutes=1))
    live = [issue(user) for _ in range(2)]
    time.passes(timedelta(minutes=1))
    live += [issue(user) for _ in range(3)]
    assert count() == 5
    assert use(live[0]) is not None


def test_using_one_voids_all_of_its_purpose_and_none_of_another(user: User) -> None:
    first, second, other = issue(user), issue(user), issue(user, PURPOSES[1])
    neighbour = issue(a_user_like(user))
    assert use(first) is not None
    assert use(second) is None
    assert use(other, PURPOSES[1]) is not None
    assert use(neighbour) is not None


def test_a_refused_use_voids_nothing(user: User) -> None:
    token, other = issue(user), issue(user)
    wrong = user.id.bytes + bytes(SECRET_BYTES)
    assert use(base64url.encode(wrong)) is None
    assert use(token, PURPOSES[1]) is None
    assert count() == 2
    assert use(other) is not None


def use_and_fail(token: str) -> None:
    assert one_time_tokens.use(token, PURPOSES[0]) is not None
    raise ZeroDivisionError


def test_a_use_that_is_rolled_back_has_not_happened(user: User) -> None:
    token = issue(user)
    with pytest.raises(ZeroDivisionError), transaction():
        use_and_fail(token)
    assert use(token) is not None


def test_all_tokens_of_an_account_can_be_voided(user: User) -> None:
    issued = {purpose: issue(user, purpose) for purpose in PURPOSES}
    neighbour = issue(a_user_like(user))
    with transaction():
        one_time_tokens.void_all(user.id)
    for purpose, token in issued.items():
        assert use(token, purpose) is None
    assert use(neighbour) is not None


def test_a_change_that_makes_them_useless_voids_them(app: Flask) -> None:
    on = Services.of(app)
    for changes, is_void in (
        (Changes(username="Renamed"), False),
        (Changes(email="moved@example.com"), True),
        (Changes(status=UserStatus.DISABLED), True),
    ):
        user = a_user(app)
        token = issue(user)
        on.administration.change(user.id, changes, OPERATOR)
        assert (use(token) is None) == is_void
    user = a_user(app)
    token = issue(user)
    on.administration.set_password(user.id, "another long sentence", OPERATOR)
    assert use(token) is None


def change_field(app: Flask, user: User, field: str) -> str | None:
    """Change a field as a project does that keeps one of its own; return the address that the user still asks for."""
    with transaction():
        stored = db.session.get_one(User, user.id)
        stored.pending_email, stored.pending_email_until = "new@example.com", clock.now() + HOUR
    with transaction():
        stored = db.session.get_one(User, user.id)
        Services.of(app).hooks.send_user_changing(stored, {field}, context=OPERATOR)
    return stored.pending_email


def test_a_change_of_a_field_of_others_voids_no_link_and_withdraws_no_address_unless_they_say_so(
    app: Flask, user: User
) -> None:
    token = issue(user)
    assert change_field(app, user, "phone_number") == "new@example.com"
    assert one_time_tokens.find(token, PURPOSES[0]) is not None
    voiding_fields.register("phone_number", "People log in with it.")
    try:
        assert change_field(app, user, "phone_number") is None
    finally:
        voiding_fields.unregister("phone_number")
    assert one_time_tokens.find(token, PURPOSES[0]) is None


def test_each_field_of_ours_voids_links_or_is_known_to_be_harmless() -> None:
    """What is not registered voids nothing: a field that is added here must not be forgotten there."""
    sent = {"username", "roles", "status"}  # ``Administration.change`` says which of them by the changes asked for
    assert {each.name for each in fields(Changes)} == sent | {"email"}
    for path in Path(authapp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "send_user_changing":
                sent |= {each.value for each in ast.walk(node.args[1]) if isinstance(each, ast.Constant)}
    assert sent == {*voiding_fields} | {"username", "roles", "email_verified_at"}


def test_they_go_with_their_account(app: Flask, user: User) -> None:
    token = issue(user)
    Services.of(app).administration.delete(user.id, OPERATOR)
    assert count() == 0
    assert use(token) is None


def test_the_table_holds_a_hash_and_neither_the_token_nor_its_secret(user: User) -> None:
    token = issue(user)
    data = base64url.decode(token)
    assert len(data) == 16 + SECRET_BYTES
    assert data[:16] == user.id.bytes, "the token names its user, so that one shard answers"
    row = db.session.scalars(select(OneTimeToken)).one()
    assert row.token_hash == sha256(data).digest()
    for column in OneTimeToken.__table__.columns:
        value = getattr(row, column.name)
        written = value if isinstance(value, bytes) else str(value).encode()
        assert data[16:] not in written, column.name
        assert token.encode() not in written, column.name


def test_no_two_tokens_are_alike(user: User) -> None:
    issued = set()
    for _ in range(50):
        issued.add(issue(user))
        with transaction():
            one_time_tokens.void_all(user.id)
    assert len(issued) == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "x",
        lambda token: token + "=",
        lambda token: token + "A",
        lambda token: token + "AAAA",
        lambda token: token[:-1],
        lambda token: token[4:],
        lambda token: token.swapcase(),
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token[:-1] + "\u00e9",
        lambda token: token[:-1] + "\0",
        lambda token: token[:-1] + "\ud800",
        lambda token: token[:-1] + "+",
        lambda _: "A" * 10_000,
        lambda token: base64url.encode(bytes(16) + base64url.decode(token)[16:]),
    ],
)
def test_what_is_no_token_is_answered_like_one_that_is_unknown(user: User, change: Any) -> None:
    token = issue(user)
    assert use(change(token)) is None
    assert use(token) is not None


@pytest.mark.committed
def test_of_twenty_who_use_one_token_at_once_one_wins(app: Flask) -> None:
    user = a_user(app)
    with app.app_context():
        token = issue(user)
    outcomes = at_once(app, *[lambda: use(token)] * 20)
    assert sum(outcome is not None for outcome in outcomes) == 1
    with app.app_context():
        assert count() == 0


@pytest.mark.committed
def test_of_those_who_use_tokens_of_one_purpose_at_once_one_wins_and_none_waits_for_ever(app: Flask) -> None:
    user = a_user(app)
    for _ in range(15):
        with app.app_context():
            issued = [issue(user) for _ in range(MAX_PER_PURPOSE)]
        outcomes = at_once(app, *[lambda token=token: use(token) for token in issued])
        assert sum(outcome is not None for outcome in outcomes) == 1, outcomes
        with app.app_context():
            assert count() == 0
