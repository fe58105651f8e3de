"""Rotation of the keys that encrypt: no secret is lost, requests flow meanwhile, and a key that is missed is named."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from authapp import EncryptedTable, encrypted_tables
from authapp.cli.doctor import doctor
from authapp.cli.keys import keys as keys_command
from authapp.database.session import db, transaction
from authapp.domain.factors import reencryption, totp
from authapp.domain.factors.reencryption import Reencryption, reencrypt
from authapp.domain.factors.stored_keys import missing_key_ids, needed_key_ids
from authapp.domain.factors.totp_factors import PURPOSE, TotpFactors
from authapp.models import TotpFactor, User
from authapp.security.encryption_keys import EncryptionKey, EncryptionKeys
from cli.invoking import data, invoke, refused, succeeded
from conftest import reconfigured
from factories import Api, a_user, problem

FIRST, SECOND, THIRD = (EncryptionKey.generate(made) for made in (1, 2, 3))
OLD = EncryptionKeys([FIRST])
BOTH = EncryptionKeys([SECOND, FIRST])
NEW = EncryptionKeys([SECOND])


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def a_factor(app: Flask, keys: EncryptionKeys) -> tuple[User, bytes]:
    user = a_user(app)
    with app.app_context(), transaction():
        return user, TotpFactors(keys, "x").begin(user.id)


def rows() -> dict[Any, tuple[str, bytes]]:
    columns = select(TotpFactor.user_id, TotpFactor.key_id, TotpFactor.secret)
    return {row.user_id: (row.key_id, row.secret) for row in db.session.execute(columns)}


def test_every_secret_is_encrypted_with_the_first_key_and_is_the_same(context: Flask) -> None:
    secrets = dict(a_factor(context, keys) for keys in (OLD, OLD, NEW, OLD))

    assert reencrypt(BOTH) == Reencryption(done=3, damaged=[], needed=[])

    assert {key_id for key_id, _ in rows().values()} == {SECOND.kid}
    for user, secret in secrets.items():
        assert NEW.decrypt(*rows()[user.id], PURPOSE, user.id) == secret


class Base(DeclarativeBase):
    """Tables of somebody else."""


class FaxMachine(Base):
    __tablename__ = "fax_machines"
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[str]
    secret: Mapped[bytes]


@pytest.fixture
def fax_machines(context: Flask) -> Iterator[None]:
    del context
    encrypted_tables.register("fax_machines", EncryptedTable(FaxMachine, "fax"))
    with transaction() as session:
        Base.metadata.create_all(session.connection())
    yield
    with transaction() as session:
        Base.metadata.drop_all(session.connection())
    encrypted_tables.unregister("fax_machines")


@pytest.mark.usefixtures("fax_machines")
def test_secrets_in_the_tables_of_others_keep_their_keys_and_are_encrypted_anew(context: Flask) -> None:
    a_factor(context, NEW)
    user = a_user(context)
    sealed = OLD.encrypt(b"secret", "fax", user.id)
    with transaction() as session:
        session.add(FaxMachine(user_id=user.id, key_id=sealed.key_id, secret=sealed.data))
    assert needed_key_ids() == sorted([FIRST.kid, SECOND.kid])

    assert reencrypt(BOTH) == Reencryption(done=1, damaged=[], needed=[])

    machine = db.session.scalars(select(FaxMachine)).one()
    assert NEW.decrypt(machine.key_id, machine.secret, "fax", user.id) == b"secret"
    db.session.rollback()


class Phone(Base):
    """Several for each account, each with a secret."""

    __tablename__ = "phones"
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str]
    secret: Mapped[bytes]


def test_a_table_with_several_secrets_of_an_account_is_refused_unless_their_key_is_named() -> None:
    with pytest.raises(ValueError, match="as its primary key"):
        EncryptedTable(Phone, "phone")
    assert EncryptedTable(Phone, "phone", further_key_columns=("number",)).model is Phone


@pytest.mark.usefixtures("fax_machines")
def test_each_of_several_secrets_of_an_account_is_encrypted_anew(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 2)
    encrypted_tables.register("phones", EncryptedTable(Phone, "phone", further_key_columns=("number",)))
    owner = a_user(context).id
    secrets = {(owner, str(number)): f"secret {number}".encode() for number in range(5)}
    with transaction() as session:
        for (user_id, number), secret in secrets.items():
            sealed = OLD.encrypt(secret, "phone", user_id)
            session.add(Phone(user_id=user_id, number=number, key_id=sealed.key_id, secret=sealed.data))
    try:
        assert reencrypt(BOTH) == Reencryption(done=5, damaged=[], needed=[])
    finally:
        encrypted_tables.unregister("phones")
    phones = db.session.scalars(select(Phone)).all()
    opened = {(each.user_id, each.number): NEW.decrypt(each.key_id, each.secret, "phone", owner) for each in phones}
    assert opened == secrets
    db.session.rollback()


def test_what_is_done_is_left_alone(context: Flask) -> None:
    for keys in (OLD, NEW):
        a_factor(context, keys)
    reencrypt(BOTH)
    before = rows()

    assert reencrypt(BOTH) == Reencryption(done=0, damaged=[], needed=[])
    assert rows() == before


def test_batches_reach_every_row(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 2)
    for _ in range(5):
        a_factor(context, OLD)

    assert reencrypt(BOTH).done == 5


def test_a_damaged_secret_is_named_and_the_others_are_done(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 1)
    users = [a_factor(context, OLD)[0] for _ in range(3)]
    with transaction():
        db.session.execute(update(TotpFactor).filter_by(user_id=users[1].id).values(secret=b"x" * 48))

    assert reencrypt(BOTH) == Reencryption(done=2, damaged=[users[1].id], needed=[FIRST.kid])


def test_secrets_of_a_missing_key_are_left_and_its_key_is_named(context: Flask) -> None:
    a_factor(context, OLD)
    before = rows()

    assert reencrypt(EncryptionKeys([THIRD, SECOND])) == Reencryption(done=0, damaged=[], needed=[FIRST.kid])
    assert rows() == before


@pytest.mark.committed
def test_a_row_that_is_in_use_is_skipped_and_not_waited_for(context: Flask) -> None:
    used, _ = a_factor(context, OLD)
    a_factor(context, OLD)
    with db.engine.connect() as other, other.begin():
        other.execute(text("SELECT 1 FROM totp_factors WHERE user_id = :id FOR UPDATE"), {"id": used.id})
        assert reencrypt(BOTH) == Reencryption(done=1, damaged=[], needed=[FIRST.kid])

    assert reencrypt(BOTH).done == 1


@pytest.mark.committed
def test_codes_are_accepted_between_any_two_batches(
    context: Flask, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 1)
    phones = [a_factor(context, OLD) for _ in range(4)]
    time = request.getfixturevalue("time")
    factors = TotpFactors(BOTH, "x")

    def code(secret: bytes) -> str:
        return totp.code_at(secret, totp.step_at(time.now))

    with transaction():
        assert all(factors.confirm(user.id, code(secret)) for user, secret in phones)
    for _ in reencryption._batches(BOTH, encrypted_tables["totp_factors"], FIRST.kid):
        time.passes(minutes=1)
        with transaction():
            assert all(factors.use(user.id, code(secret)) for user, secret in phones)
    assert needed_key_ids() == [SECOND.kid]


def test_the_keys_that_are_needed_are_each_named_once(context: Flask) -> None:
    assert needed_key_ids() == []
    for keys in (OLD, NEW, OLD, NEW, EncryptionKeys([THIRD])):
        a_factor(context, keys)

    assert needed_key_ids() == sorted([FIRST.kid, SECOND.kid, THIRD.kid])
    assert missing_key_ids(BOTH) == [THIRD.kid]
    assert missing_key_ids(None) == needed_key_ids()


@pytest.mark.committed
def test_the_needed_keys_are_read_from_the_index_and_not_from_each_row(context: Flask) -> None:
    user, _ = a_factor(context, OLD)
    columns = ", ".join(
        column.name for column in User.__table__.columns if column.name not in {"id", "username_key", "email_key"}
    )
    with transaction():
        db.session.execute(
            text(
                f"INSERT INTO users (id, username_key, email_key, {columns})"
                f" SELECT gen_random_uuid(), n::text, n::text, {columns} FROM users, generate_series(1, 20000) n"
                " WHERE id = :id"
            ),
            {"id": user.id},
        )
        db.session.execute(
            text(
                "INSERT INTO totp_factors (user_id, secret, key_id, created_at) SELECT id, '', :kid, now() FROM users"
                " WHERE NOT EXISTS (SELECT 1 FROM totp_factors WHERE user_id = users.id)"
            ),
            {"kid": SECOND.kid},
        )
    db.session.execute(text("ANALYZE totp_factors"))
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "needed" in statement and not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    event.listen(db.engine, "before_cursor_execute", explain)
    try:
        assert needed_key_ids() == sorted([FIRST.kid, SECOND.kid])
    finally:
        event.remove(db.engine, "before_cursor_execute", explain)
    (plan,) = plans
    assert "Seq Scan" not in plan
    assert "ix_totp_factors_key_id" in plan


def readiness(app: Flask) -> list[dict[str, str]]:
    return problem(Api(app.test_client()).client.get("/health/ready"), 503, "service_unavailable")["errors"]  # type: ignore[no-any-return]


def with_keys(app: Flask, monkeypatch: pytest.MonkeyPatch, keys: EncryptionKeys | None) -> None:
    reconfigured(app, monkeypatch, encryption_keys=keys and keys.to_json())


def check(app: Flask) -> str:
    lines = app.test_cli_runner().invoke(doctor).stdout.splitlines()
    (line,) = [line for line in lines if "  encryption keys: " in line]
    return line


@pytest.mark.parametrize("keys", [NEW, None], ids=["rotated too far", "not set"])
def test_a_server_without_a_key_that_is_needed_is_not_ready(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, keys: EncryptionKeys | None
) -> None:
    with_keys(app, monkeypatch, keys)
    assert api.client.get("/health/ready").status_code == 200
    assert check(app).startswith("ok ")

    a_factor(app, OLD)

    assert readiness(app) == [{"pointer": "#/encryption_keys", "detail": "Some second factors cannot be checked."}]
    assert FIRST.kid in caplog.text
    assert check(app).startswith("fail ")
    assert FIRST.kid in check(app)
    with_keys(app, monkeypatch, BOTH)
    assert api.client.get("/health/ready").status_code == 200
    assert check(app).startswith("ok ")


def test_the_command_says_how_many_and_what_is_left(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with_keys(app, monkeypatch, BOTH)
    for keys in (OLD, OLD):
        a_factor(app, keys)

    assert succeeded(invoke(app, keys_command, "reencrypt")) == "Encrypted 2 secret(s) anew.\n"
    assert data(invoke(app, keys_command, "reencrypt", "--json")) == {"done": 0, "damaged": [], "needed": []}

    a_factor(app, EncryptionKeys([THIRD]))
    result = invoke(app, keys_command, "reencrypt")
    assert result.exit_code == 1
    assert THIRD.kid in result.stderr


def test_without_keys_nothing_is_encrypted_anew(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with_keys(app, monkeypatch, None)

    refused(invoke(app, keys_command, "reencrypt"), "AUTHAPP_ENCRYPTION_KEYS is not set")
