"""Recovery codes: ten, each used once, however they are typed, and stored as a hash alone."""

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
from concurrently import at_once
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from authapp.database.session import db, transaction
from authapp.domain.factors import recovery_codes
from authapp.domain.factors.recovery_codes import ALPHABET, MAX_INPUT_LENGTH, code_hash, new_code
from authapp.domain.users.rows import lock_account
from authapp.models import RecoveryCode, User
from factories import a_user

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"


@pytest.fixture
def user(app: Flask) -> Iterator[User]:
    with app.app_context():
        yield a_user(app)


def replace_all(user: User) -> list[str]:
    with transaction():
        lock_account(user.id)
        return recovery_codes.replace_all(user.id)


def use(user: User, code: str) -> bool:
    with transaction():
        lock_account(user.id)
        return recovery_codes.use(user.id, code)


def test_there_are_ten_and_each_is_used_once(user: User) -> None:
    made = replace_all(user)

    assert len(set(made)) == 10
    for used, code in enumerate(made, start=1):
        assert use(user, code)
        assert not use(user, code)
        assert recovery_codes.remaining(user.id) == 10 - used


def test_codes_have_120_random_bits() -> None:
    made = [new_code() for _ in range(2_000)]

    assert all(re.fullmatch(rf"([{ALPHABET}]{{4}}-){{5}}[{ALPHABET}]{{4}}", code) for code in made)
    for place in range(len(CODE)):
        seen = {code[place] for code in made}
        assert seen == ({"-"} if CODE[place] == "-" else set(ALPHABET))


def test_only_hashes_are_stored(user: User) -> None:
    made = replace_all(user)

    stored = set(db.session.scalars(select(RecoveryCode.code_hash).filter_by(user_id=user.id)))
    assert stored == {sha256(code.replace("-", "").encode()).digest() for code in made}


def test_a_new_list_voids_the_old_one(user: User) -> None:
    old, new = replace_all(user), replace_all(user)

    assert not use(user, old[0])
    assert recovery_codes.remaining(user.id) == 10
    assert use(user, new[0])


def test_a_code_is_good_for_its_own_account_alone(app: Flask, user: User) -> None:
    made, other = replace_all(user), a_user(app)

    assert not use(other, made[0])
    with transaction():
        recovery_codes.delete_all(other.id, None)
    assert use(user, made[0])


def test_no_code_is_left_after_all_were_deleted(user: User) -> None:
    made = replace_all(user)
    with transaction():
        recovery_codes.delete_all(user.id, None)

    assert recovery_codes.remaining(user.id) == 0
    assert not use(user, made[0])


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        f"  {CODE}\n",
        CODE.replace("0", "o"),
        CODE.replace("0", "O").replace("1", "l"),
        CODE.replace("1", "I"),
        CODE.replace("1", "i"),
        *(CODE.replace("-", dash) for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00a0\t"),
        CODE.replace("-", " - "),
    ],
    ids=ascii,
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert code_hash(typed) == code_hash(CODE) is not None


@pytest.mark.parametrize(
    "typed",
    [
        *("", "-", CODE[:-1], CODE + "0", CODE.replace("Q", "U"), CODE.replace("Q", "\u0661"), CODE.replace("Q", "_")),
        *("\ud800" * 24, "0" * 10_000_000, CODE + " " * MAX_INPUT_LENGTH),
    ],
    ids=lambda typed: ascii(typed[:40]),
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert code_hash(typed) is None


@given(st.text(max_size=MAX_INPUT_LENGTH))
def test_no_input_is_an_error(typed: str) -> None:
    assert code_hash(typed) is None or len(code_hash(typed) or b"") == 32


@pytest.mark.committed
def test_of_twenty_parallel_uses_of_one_code_one_succeeds(app: Flask, user: User) -> None:
    code = replace_all(user)[0]

    assert sorted(at_once(app, *[lambda: use(user, code)] * 20)) == [False] * 19 + [True]
    assert recovery_codes.remaining(user.id) == 9


@pytest.mark.committed
def test_parallel_new_lists_leave_one(app: Flask, user: User) -> None:
    lists = at_once(app, *[lambda: replace_all(user)] * 8)

    assert recovery_codes.remaining(user.id) == 10
    assert [sum(use(user, code) for code in made) for made in lists].count(10) == 1
