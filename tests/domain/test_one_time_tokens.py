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
from authapp.domain.one_time_tokens import MAX_PER_PURPOSE, OneTimeTokens, TooManyTokens, UsedToken
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
ADDRESS = "Ada@Example.com"


@pytest.fixture
def tokens(app: Flask) -> Iterator[OneTimeTokens]:
    with app.app_context():
        yield Services.of(app).one_time_tokens


def issue(tokens: OneTimeTokens, user: User, purpose: str = PURPOSES[0], **changes: Any) -> str:
    with transaction():
        return tokens.issue(user.id, purpose, **{"sent_to": ADDRESS, "lifetime": HOUR, **changes})


def use(tokens: OneTimeTokens, token: str, purpose: str = PURPOSES[0]) -> UsedToken | None:
    with transaction():
        return tokens.use(token, purpose)


def count(**which: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(OneTimeToken).filter_by(**which)) or 0


def test_a_token_is_used_once_and_says_whose_it_is(tokens: OneTimeTokens, user: User) -> None:
    token = issue(tokens, user)
    assert use(tokens, token) == UsedToken(user.id, "ada@example.com")
    assert use(tokens, token) is None


@pytest.mark.parametrize("issued", PURPOSES)
@pytest.mark.parametrize("wanted", PURPOSES)
def test_a_token_is_good_for_its_own_purpose_alone(tokens: OneTimeTokens, user: User, issued: str, wanted: str) -> None:
    token = issue(tokens, user, issued)
    if issued != wanted:
        assert use(tokens, token, wanted) is None
    assert use(tokens, token, issued) is not None


def test_a_token_is_good_until_it_expires(tokens: OneTimeTokens, user: User, time: Time) -> None:
    early, late = issue(tokens, user, PURPOSES[0]), issue(tokens, user, PURPOSES[1])
    time.passes(HOUR - timedelta(seconds=1))
    assert use(tokens, early, PURPOSES[0]) is not None
    time.passes(timedelta(seconds=1))
    assert use(tokens, late, PURPOSES[1]) is None


def test_a_newer_token_does_not_void_the_one_that_somebody_holds(tokens: OneTimeTokens, user: User, time: Time) -> None:
    first = issue(tokens, user)
    time.passes(timedelta(seconds=1))
    issue(tokens, user)
    assert use(tokens, first) is not None


def test_beyond_five_none_is_issued_and_none_that_somebody_holds_is_void(
    tokens: OneTimeTokens, user: User, time: Time
) -> None:
    issued = []
    for _ in range(MAX_PER_PURPOSE):
        time.passes(timedelta(seconds=1))
        issued.append(issue(tokens, user))
    for _ in range(2):
        with pytest.raises(TooManyTokens):
            issue(tokens, user)
    assert count(user_id=user.id) == MAX_PER_PURPOSE == 5
    for token in issued:
        assert tokens.find(token, PURPOSES[0]) is not None
    other_purpose, other_user = issue(tokens, user, PURPOSES[1]), issue(tokens, a_user_like(user))
    assert use(tokens, issued[0]) is not None
    assert use(tokens, other_purpose, PURPOSES[1]) is not None
    assert use(tokens, other_user) is not None


def test_a_mail_that_is_sent_again_has_two_and_takes_the_room_of_one(
    tokens: OneTimeTokens, user: User, time: Time
) -> None:
    mails = [identifiers.time_ordered() for _ in range(MAX_PER_PURPOSE)]
    sent: dict[UUID, list[str]] = {mail: [] for mail in mails}
    for mail in mails * 4:
        time.passes(timedelta(seconds=1))
        sent[mail].append(issue(tokens, user, mail_id=mail))
    for mail in mails:
        assert [tokens.find(token, PURPOSES[0]) is not None for token in sent[mail]] == [False, False, True, True]
    for other in (None, identifiers.time_ordered()):
        with pytest.raises(TooManyTokens):
            issue(tokens, user, mail_id=other)
    assert use(tokens, sent[mails[0]][-2]) is not None
    assert count(user_id=user.id) == 0


def test_one_that_has_expired_makes_room_and_is_deleted(tokens: OneTimeTokens, user: User, time: Time) -> None:
    expiring = issue(tokens, user, lifetime=timedelta(minutes=1))
    for _ in range(MAX_PER_PURPOSE - 1):
        issue(tokens, user)
    time.passes(timedelta(minutes=1))
    issue(tokens, user)
    assert count(token_hash=sha256(base64url.decode(expiring)).digest()) == 0
    with pytest.raises(TooManyTokens):
        issue(tokens, user)


@pytest.mark.parametrize("survives", [True, False])
def test_a_project_can_register_a_purpose_of_its_own(
    app: Flask, tokens: OneTimeTokens, user: User, *, survives: bool
) -> None:
    rule = PurposeRule(timedelta(days=7), survives_changes=survives)
    purpose = token_purposes.register("accept_invitation", rule)
    try:
        token = issue(tokens, user, purpose)
        Services.of(app).administration.set_password(user.id, "another long sentence", OPERATOR)
        assert (use(tokens, token, purpose) is not None) is survives
    finally:
        token_purposes.unregister(purpose)


def a_user_like(user: User) -> User:
    services = Services.of(current_app)
    return services.accounts.create(username="other", email="other@example.com", password=None, context=OPERATOR)


def test_what_has_expired_does_not_push_out_what_is_live(tokens: OneTimeTokens, user: User, time: Time) -> None:
    live = [issue(tokens, user, lifetime=HOUR) for _ in range(2)]
    for _ in range(3):
        time.passes(timedelta(seconds=1))
        issue(tokens, user, lifetime=timedelta(seconds=1))
    time.passes(timedelta(minutes=1))
    live += [issue(tokens, user) for _ in range(3)]
    assert count() == 5
    assert use(tokens, live[0]) is not None


def test_using_one_voids_all_of_its_purpose_and_none_of_another(tokens: OneTimeTokens, user: User) -> None:
    first, second, other = issue(tokens, user), issue(tokens, user), issue(tokens, user, PURPOSES[1])
    neighbour = issue(tokens, a_user_like(user))
    assert use(tokens, first) is not None
    assert use(tokens, second) is None
    assert use(tokens, other, PURPOSES[1]) is not None
    assert use(tokens, neighbour) is not None


def test_a_refused_use_voids_nothing(tokens: OneTimeTokens, user: User) -> None:
    token, other = issue(tokens, user), issue(tokens, user)
    wrong = user.id.bytes + bytes(SECRET_BYTES)
    assert use(tokens, base64url.encode(wrong)) is None
    assert use(tokens, token, PURPOSES[1]) is None
    assert count() == 2
    assert use(tokens, other) is not None


def use_and_fail(tokens: OneTimeTokens, token: str) -> None:
    assert tokens.use(token, PURPOSES[0]) is not None
    raise ZeroDivisionError


def test_a_use_that_is_rolled_back_has_not_happened(tokens: OneTimeTokens, user: User) -> None:
    token = issue(tokens, user)
    with pytest.raises(ZeroDivisionError), transaction():
        use_and_fail(tokens, token)
    assert use(tokens, token) is not None


def test_all_tokens_of_an_account_can_be_voided(tokens: OneTimeTokens, user: User) -> None:
    issued = {purpose: issue(tokens, user, purpose) for purpose in PURPOSES}
    neighbour = issue(tokens, a_user_like(user))
    with transaction():
        tokens.void_all(user.id)
    for purpose, token in issued.items():
        assert use(tokens, token, purpose) is None
    assert use(tokens, neighbour) is not None


def test_a_change_that_makes_them_useless_voids_them(app: Flask, tokens: OneTimeTokens) -> None:
    on = Services.of(app)
    for changes, is_void in (
        (Changes(username="Renamed"), False),
        (Changes(email="moved@example.com"), True),
        (Changes(status=UserStatus.DISABLED), True),
    ):
        user = a_user(app)
        token = issue(tokens, user)
        on.administration.change(user.id, changes, OPERATOR)
        assert (use(tokens, token) is None) == is_void
    user = a_user(app)
    token = issue(tokens, user)
    on.administration.set_password(user.id, "another long sentence", OPERATOR)
    assert use(tokens, token) is None


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
    app: Flask, tokens: OneTimeTokens, user: User
) -> None:
    token = issue(tokens, user)
    assert change_field(app, user, "phone_number") == "new@example.com"
    assert tokens.find(token, PURPOSES[0]) is not None
    voiding_fields.register("phone_number", "People log in with it.")
    try:
        assert change_field(app, user, "phone_number") is None
    finally:
        voiding_fields.unregister("phone_number")
    assert tokens.find(token, PURPOSES[0]) is None


def test_each_field_of_ours_voids_links_or_is_known_to_be_harmless() -> None:
    """What is not registered voids nothing: a field that is added here must not be forgotten there."""
    sent = {"username", "roles", "status"}  # ``Administration.change`` says which of them by the changes asked for
    assert {each.name for each in fields(Changes)} == sent | {"email"}
    for path in Path(authapp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "send_user_changing":
                sent |= {each.value for each in ast.walk(node.args[1]) if isinstance(each, ast.Constant)}
    assert sent == {*voiding_fields} | {"username", "roles", "email_verified_at"}


def test_they_go_with_their_account(app: Flask, tokens: OneTimeTokens, user: User) -> None:
    token = issue(tokens, user)
    Services.of(app).administration.delete(user.id, OPERATOR)
    assert count() == 0
    assert use(tokens, token) is None


def test_the_table_holds_a_hash_and_neither_the_token_nor_its_secret(tokens: OneTimeTokens, user: User) -> None:
    token = issue(tokens, user)
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


def test_no_two_tokens_are_alike(tokens: OneTimeTokens, user: User) -> None:
    issued = set()
    for _ in range(50):
        issued.add(issue(tokens, user))
        with transaction():
            tokens.void_all(user.id)
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
def test_what_is_no_token_is_answered_like_one_that_is_unknown(tokens: OneTimeTokens, user: User, change: Any) -> None:
    token = issue(tokens, user)
    assert use(tokens, change(token)) is None
    assert use(tokens, token) is not None


@pytest.mark.committed
def test_of_twenty_who_use_one_token_at_once_one_wins(app: Flask) -> None:
    user, tokens = a_user(app), Services.of(app).one_time_tokens
    with app.app_context():
        token = issue(tokens, user)
    outcomes = at_once(app, *[lambda: use(tokens, token)] * 20)
    assert sum(outcome is not None for outcome in outcomes) == 1
    with app.app_context():
        assert count() == 0


@pytest.mark.committed
def test_of_those_who_use_tokens_of_one_purpose_at_once_one_wins_and_none_waits_for_ever(app: Flask) -> None:
    user, tokens = a_user(app), Services.of(app).one_time_tokens
    for _ in range(15):
        with app.app_context():
            issued = [issue(tokens, user) for _ in range(MAX_PER_PURPOSE)]
        outcomes = at_once(app, *[lambda token=token: use(tokens, token) for token in issued])
        assert sum(outcome is not None for outcome in outcomes) == 1, outcomes
        with app.app_context():
            assert count() == 0
