"""TOTP factors: confirmed with a code, each code used once by its step, and the secret encrypted."""

import logging
from base64 import b32decode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from concurrently import at_once
from flask import Flask
from sqlalchemy import select, update

from authapp import clock
from authapp.database.session import db, transaction
from authapp.domain.factors import totp
from authapp.domain.factors.totp_factors import PURPOSE, TotpFactors, TotpSecret
from authapp.domain.users.rows import lock_account
from authapp.errors import FactorExists, ServiceUnavailable
from authapp.models import TotpFactor, User
from authapp.security.encryption_keys import EncryptionKeys
from clocks import Time
from factories import a_user

KEYS = EncryptionKeys.generate(made=0)


@pytest.fixture
def factors(app: Flask, time: Time) -> Iterator[TotpFactors]:
    with app.app_context():
        yield TotpFactors(KEYS, "auth.example.com")


@contextmanager
def locked(user: User) -> Iterator[None]:
    """Open a transaction in which the account is locked, as it is wherever factors are used and changed."""
    with transaction():
        lock_account(user.id)
        yield


def begin(factors: TotpFactors, user: User) -> bytes:
    """Return the secret."""
    with locked(user):
        return factors.begin(user.id)


def confirm(factors: TotpFactors, user: User, code: str) -> bool:
    with locked(user):
        return factors.confirm(user.id, code)


def use(factors: TotpFactors, user: User, code: str) -> bool:
    with locked(user):
        return factors.use(user.id, code)


def remove(factors: TotpFactors, user: User) -> bool:
    with locked(user):
        return factors.remove(user.id)


def code(secret: bytes, steps: int = 0) -> str:
    """Return the code of now, or of some steps later."""
    return totp.code_at(secret, totp.step_at(clock.now()) + steps)


def confirmed(factors: TotpFactors, user: User, time: Time) -> bytes:
    """Set up a factor, and return its secret once the code that confirmed it has passed."""
    secret = begin(factors, user)
    assert confirm(factors, user, code(secret))
    time.passes(minutes=1)
    return secret


def stored(user: User) -> TotpFactor:
    return db.session.scalars(
        select(TotpFactor).filter_by(user_id=user.id).execution_options(populate_existing=True)
    ).one()


def test_an_app_gets_the_secret_in_three_forms(factors: TotpFactors, user: User) -> None:
    with transaction():
        enrolment = factors.shown(factors.begin(user.id), user.username)

    assert enrolment.otpauth_uri == totp.otpauth_uri(b32decode(enrolment.secret), "auth.example.com", user.username)
    assert enrolment.qr_svg == totp.qr_svg(enrolment.otpauth_uri)
    assert repr(enrolment) == "TotpSecret()"
    assert isinstance(enrolment, TotpSecret)


def test_the_secret_is_encrypted_for_its_user(app: Flask, factors: TotpFactors, user: User) -> None:
    secret = begin(factors, user)

    row = stored(user)
    assert secret not in row.secret
    assert row.key_id == KEYS.first.kid
    assert KEYS.decrypt(row.key_id, row.secret, PURPOSE, user.id) == secret


def test_a_factor_counts_once_it_is_confirmed(factors: TotpFactors, user: User, time: Time) -> None:
    secret = begin(factors, user)
    assert not use(factors, user, code(secret))
    assert not confirm(factors, user, code(secret, 5))
    assert stored(user).confirmed_at is None

    assert confirm(factors, user, code(secret))
    assert stored(user).confirmed_at == time.now
    time.passes(seconds=30)
    assert use(factors, user, code(secret))


def test_the_code_that_confirmed_is_used(factors: TotpFactors, user: User) -> None:
    secret = begin(factors, user)
    first = code(secret)
    assert confirm(factors, user, first)

    assert not use(factors, user, first)
    assert not confirm(factors, user, first)
    assert not use(factors, user, code(secret, -1))
    assert use(factors, user, code(secret, 1))


def test_a_code_is_used_once(factors: TotpFactors, user: User, time: Time) -> None:
    secret = confirmed(factors, user, time)

    used = code(secret)
    assert use(factors, user, used)
    for _ in range(4):
        assert not use(factors, user, used)
        time.passes(seconds=20)


def test_a_code_of_the_next_step_that_was_used_early_is_not_good_again(
    factors: TotpFactors, user: User, time: Time
) -> None:
    secret = confirmed(factors, user, time)
    early = code(secret, 1)
    assert use(factors, user, early)

    for _ in range(12):
        time.passes(seconds=10)
        assert not use(factors, user, early)
    assert use(factors, user, code(secret))


def test_after_a_later_code_an_earlier_one_is_not_accepted(factors: TotpFactors, user: User, time: Time) -> None:
    secret = confirmed(factors, user, time)

    assert use(factors, user, code(secret, 1))
    assert not use(factors, user, code(secret))
    assert not use(factors, user, code(secret, -1))


@pytest.mark.parametrize("wrong", ["", "12345", "abcdef", "\ud800", "1" * 100_000])
def test_what_is_no_code_is_not_accepted(factors: TotpFactors, user: User, time: Time, wrong: str) -> None:
    confirmed(factors, user, time)

    assert not use(factors, user, wrong)


def test_without_a_factor_no_code_is_right(factors: TotpFactors, user: User) -> None:
    assert not use(factors, user, "123456")
    assert not confirm(factors, user, "123456")
    assert not remove(factors, user)


def test_a_factor_is_dead_after_ten_minutes_without_a_code(factors: TotpFactors, user: User, time: Time) -> None:
    secret = begin(factors, user)
    time.passes(minutes=10)
    assert not confirm(factors, user, code(secret))

    secret = begin(factors, user)
    time.passes(minutes=9, seconds=59)
    assert confirm(factors, user, code(secret))


def test_a_pending_factor_is_replaced(factors: TotpFactors, user: User) -> None:
    old, new = begin(factors, user), begin(factors, user)

    assert not confirm(factors, user, code(old))
    assert confirm(factors, user, code(new))


def test_a_confirmed_factor_is_not_replaced(factors: TotpFactors, user: User, time: Time) -> None:
    secret = confirmed(factors, user, time)

    with pytest.raises(FactorExists):
        begin(factors, user)
    assert use(factors, user, code(secret))


def test_a_removed_factor_is_gone_and_another_can_follow(factors: TotpFactors, user: User, time: Time) -> None:
    old = confirmed(factors, user, time)
    assert remove(factors, user)
    assert not use(factors, user, code(old))

    new = begin(factors, user)
    assert confirm(factors, user, code(new))


def test_removing_leaves_a_pending_factor_which_is_none_yet(factors: TotpFactors, user: User) -> None:
    secret = begin(factors, user)

    assert not remove(factors, user)
    assert confirm(factors, user, code(secret))


def test_a_factor_is_its_own_accounts(app: Flask, factors: TotpFactors, user: User, time: Time) -> None:
    secret, other = confirmed(factors, user, time), a_user(app)
    confirmed(factors, other, time)

    assert not use(factors, other, code(secret))
    assert remove(factors, other)
    assert use(factors, user, code(secret))


def test_a_secret_that_was_moved_to_another_account_opens_nothing(
    app: Flask, factors: TotpFactors, user: User, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    secret, victim = confirmed(factors, user, time), a_user(app)
    confirmed(factors, victim, time)
    with transaction():
        db.session.execute(update(TotpFactor).filter_by(user_id=victim.id).values(secret=stored(user).secret))

    with pytest.raises(ServiceUnavailable):
        use(factors, victim, code(secret))
    assert f"The TOTP factor of {victim.id} cannot be used" in caplog.text


def test_with_a_key_missing_no_code_is_called_wrong(
    factors: TotpFactors, user: User, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    secret = confirmed(factors, user, time)
    caplog.set_level(logging.ERROR)

    with pytest.raises(ServiceUnavailable):
        use(TotpFactors(EncryptionKeys.generate(made=0), "x"), user, code(secret))
    assert KEYS.first.kid in caplog.text
    assert use(factors, user, code(secret))


@pytest.mark.committed
def test_of_twenty_parallel_uses_of_one_code_one_succeeds(
    app: Flask, factors: TotpFactors, user: User, time: Time
) -> None:
    secret = confirmed(factors, user, time)

    assert sorted(at_once(app, *[lambda: use(factors, user, code(secret))] * 20)) == [False] * 19 + [True]


@pytest.mark.committed
def test_of_twenty_parallel_confirmations_one_succeeds(app: Flask, factors: TotpFactors, user: User) -> None:
    secret = begin(factors, user)

    assert sorted(at_once(app, *[lambda: confirm(factors, user, code(secret))] * 20)) == [False] * 19 + [True]
