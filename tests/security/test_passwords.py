"""Hashes: how ours are made, and which others are taken in."""

from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from pwdlib.hashers.argon2 import Argon2Hasher
from werkzeug.security import generate_password_hash

from authapp.config import Settings
from authapp.security.passwords import FloorArgon2Hasher, ForeignHasher, Passwords
from security.foreign import compute_no_foreign_hash

PASSWORD = "correct horse battery st\u00e4ple \U0001f434"
MEMORY_KIB, TIME_COST = 16, 2
PASSWORDS = Passwords(memory_kib=MEMORY_KIB, time_cost=TIME_COST)


def argon2(
    memory_kib: int = MEMORY_KIB, time_cost: int = TIME_COST, type_: Type = Type.ID, password: str = PASSWORD
) -> str:
    return PasswordHasher(time_cost, memory_kib, 1, type=type_).hash(password)


def bcrypted(password: bytes, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4, prefix=b"2b")).replace(b"$2b$", b"$" + prefix + b"$").decode()


def cost(stored: str) -> tuple[Type, int, int, int]:
    parameters = extract_parameters(stored)
    return parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism


def accepted_and_replaced(stored: str, password: str = PASSWORD) -> None:
    correct, replacement = PASSWORDS.verify(password, stored)
    assert correct
    assert replacement
    assert cost(replacement) == (Type.ID, MEMORY_KIB, TIME_COST, 1)
    assert PASSWORDS.verify(password, replacement) == (True, None)
    assert PASSWORDS.verify(password + "x", stored) == (False, None)


def test_a_hash_is_argon2id_at_the_configured_cost() -> None:
    stored = PASSWORDS.hash(PASSWORD)

    assert stored.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert cost(stored) == (Type.ID, MEMORY_KIB, TIME_COST, 1)


def test_the_default_cost_is_the_floor_of_owasp() -> None:
    settings = Settings(database_url="", jwt_keys="")

    assert (settings.argon2_memory_kib, settings.argon2_time_cost) == (19_456, 2)


def test_every_hash_has_a_salt_of_its_own() -> None:
    hashes = {PASSWORDS.hash(PASSWORD) for _ in range(20)}

    assert len(hashes) == 20
    assert min(extract_parameters(stored).salt_len for stored in hashes) >= 16


@pytest.mark.parametrize("password", [PASSWORD, "", " ", " spaces stay ", "\U0001f600" * 128, "nul\0nul", "a" * 10_000])
def test_a_password_opens_its_own_hash_and_no_other(password: str) -> None:
    stored = PASSWORDS.hash(password)

    assert PASSWORDS.verify(password, stored) == (True, None)
    for other in (password + " ", password + "\0", password.strip() + "x", password.swapcase() + "y", "other"):
        assert PASSWORDS.verify(other, stored) == (False, None)


@pytest.mark.parametrize(
    ("ours", "other"), [("caf\u00e9", "cafe\u0301"), ("a b", "a\u00a0b"), ("Password", "password")]
)
def test_a_password_is_taken_as_it_was_typed(ours: str, other: str) -> None:
    assert PASSWORDS.verify(other, PASSWORDS.hash(ours)) == (False, None)


def test_a_difference_after_byte_72_is_a_difference() -> None:
    start = "a" * 72

    assert PASSWORDS.verify(start + "b", PASSWORDS.hash(start + "c")) == (False, None)
    assert PASSWORDS.verify(start, PASSWORDS.hash(start + "c")) == (False, None)
    assert PASSWORDS.verify(start + "c", PASSWORDS.hash(start + "c")) == (True, None)


@pytest.mark.parametrize(
    "weaker",
    [
        {"memory_kib": MEMORY_KIB - 8},
        {"time_cost": TIME_COST - 1},
        {"memory_kib": 1024, "time_cost": 1},
        {"memory_kib": 8, "time_cost": 10},
        {"type_": Type.I},
        {"type_": Type.D},
        {"memory_kib": 1024, "time_cost": 4, "type_": Type.I},
    ],
    ids=str,
)
def test_a_weaker_argon2_hash_is_replaced(weaker: dict[str, Any]) -> None:
    accepted_and_replaced(argon2(**weaker))


@pytest.mark.parametrize(
    "stronger", [{}, {"memory_kib": 1024}, {"time_cost": 3}, {"memory_kib": 64, "time_cost": 4}], ids=str
)
def test_an_argon2_hash_that_is_as_strong_or_stronger_is_left_alone(stronger: dict[str, Any]) -> None:
    assert PASSWORDS.verify(PASSWORD, argon2(**stronger)) == (True, None)


@pytest.mark.parametrize(
    "method", ["scrypt", "scrypt:1024:8:1", "pbkdf2:sha256:10", "pbkdf2:sha512:10", "pbkdf2:sha1:1"]
)
def test_a_hash_of_werkzeug_is_accepted_and_replaced(method: str) -> None:
    accepted_and_replaced(generate_password_hash(PASSWORD, method))


@pytest.mark.parametrize("prefix", [b"2b", b"2a", b"2y"])
def test_a_hash_of_bcrypt_is_accepted_and_replaced(prefix: bytes) -> None:
    accepted_and_replaced(bcrypted(PASSWORD.encode(), prefix))


def test_a_password_of_72_bytes_opens_its_bcrypt_hash_and_a_longer_one_does_not() -> None:
    start = "\u00e9" * 36

    accepted_and_replaced(bcrypted(start.encode()), start)
    for longer in (start + "b", start + "\0", start + "a" * 1000):
        assert PASSWORDS.verify(longer, bcrypted(start.encode())) == (False, None)


@pytest.mark.parametrize("password", ["horse\0", "horse\0battery", "horse\0horse"])
def test_a_nul_does_not_end_what_bcrypt_reads(password: str) -> None:
    # Bcrypt repeats the password with a NUL behind it, so to bcrypt the last one is the password.
    assert PASSWORDS.verify(password, bcrypted(b"horse")) == (False, None)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        " ",
        "!",
        "plain",
        PASSWORD,
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$1$salt$hash",
        "$6$salt$hash",
        "{SSHA}AAAA",
        "md5$salt$aa",
        "sha256$salt$aa",
        "argon2",
        "$argon2id$",
        "$argon2x$v=19$m=8,t=1,p=1$AAAA$AAAA",
        "$2b$",
        "\x00",
        "é",
    ],
)
def test_an_unknown_format_opens_nothing(stored: str) -> None:
    assert PASSWORDS.verify(PASSWORD, stored) == (False, None)
    assert PASSWORDS.verify("", stored) == (False, None)
    assert PASSWORDS.verify(stored, stored) == (False, None)


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(argon2()[:-10], id="argon2 cut short"),
        pytest.param(argon2().rpartition("$")[0], id="argon2 without a hash"),
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=99999999999,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$2b$99$" + "a" * 53,
        "$2b$04$" + "a" * 53,
        "scrypt:1:2$salt$aa",
        "scrypt:a:b:c$salt$aa",
        "scrypt:3:8:1$salt$aa",
        "scrypt:9999999999:8:1$salt$aa",
        "pbkdf2:sha256:abc$salt$aa",
        "pbkdf2:sha256:0$salt$aa",
        "pbkdf2:unheardof:1$salt$aa",
        "pbkdf2:sha256:1:2$salt$aa",
    ],
)
def test_a_damaged_hash_opens_nothing(stored: str) -> None:
    assert PASSWORDS.verify(PASSWORD, stored) == (False, None)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The argon2 hashes that were computed anew to compare a password with."""
    hashes: list[str] = []
    verify = FloorArgon2Hasher.verify

    def counted(self: FloorArgon2Hasher, password: Any, hash: Any) -> bool:  # noqa: A002 - the protocol's name
        hashes.append(hash)
        return verify(self, password, hash)

    monkeypatch.setattr(FloorArgon2Hasher, "verify", counted)
    return hashes


@pytest.mark.parametrize(
    "stored", [None, "", "plain", "$1$salt$hash", "scrypt:1:2$salt$aa", "pbkdf2:unheardof:1$salt$aa"]
)
def test_a_missing_account_costs_as_much_as_a_wrong_password(verified: list[str], stored: str | None) -> None:
    real = PASSWORDS.hash(PASSWORD)
    PASSWORDS.verify("wrong", real)
    PASSWORDS.verify("wrong", stored)

    assert len(verified) == 2
    assert cost(verified[0]) == cost(verified[1]) == (Type.ID, MEMORY_KIB, TIME_COST, 1)
    assert [extract_parameters(stored).hash_len for stored in verified] == [32, 32]


def test_an_account_whose_hash_cannot_answer_costs_as_much_as_a_missing_one(verified: list[str]) -> None:
    """Else one request with 73 characters tells that an account exists, and where it came from."""
    PASSWORDS.verify("x" * 73, bcrypted(b"x" * 72))
    PASSWORDS.verify("x\0", bcrypted(b"x"))
    PASSWORDS.verify("x", argon2().removesuffix(argon2()[-8:]) + "!!")
    PASSWORDS.verify("x", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaA")
    ours = [stored for stored in verified if stored.startswith("$argon2id$v=19$m=16,t=2,p=1$") and "!" not in stored]
    assert len(ours) == 4


@pytest.mark.parametrize("stored", [None, "plain"])
def test_nothing_opens_an_account_that_is_not_there(stored: str | None) -> None:
    for password in ("", PASSWORD, "a password that opens nothing", "wrong"):
        assert PASSWORDS.verify(password, stored) == (False, None)


def test_a_good_password_is_hashed_once(verified: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stored = PASSWORDS.hash(PASSWORD)
    monkeypatch.delattr(Argon2Hasher, "hash")

    assert PASSWORDS.verify(PASSWORD, stored) == (True, None)
    assert verified == [stored]


def test_the_formats_from_elsewhere_are_never_written() -> None:
    with pytest.raises(TypeError, match="argon2id"):
        ForeignHasher().hash(PASSWORD)
    assert PASSWORDS.hash(PASSWORD).startswith("$argon2id$")


@pytest.mark.parametrize(
    "costly",
    [
        bcrypted(b"x").replace("$04$", "$15$"),
        "pbkdf2:sha256:2000001$salt$" + "0" * 64,
        "scrypt:524288:8:1$salt$" + "0" * 128,
        f"$argon2i$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ${'A' * 43}",
    ],
    ids=["bcrypt", "pbkdf2", "scrypt", "argon2i"],
)
def test_a_hash_above_its_maximum_cost_is_never_computed_whoever_stored_it(
    verified: list[str], monkeypatch: pytest.MonkeyPatch, costly: str
) -> None:
    compute_no_foreign_hash(monkeypatch)

    assert PASSWORDS.verify(PASSWORD, costly) == (False, None)

    assert [cost(each) for each in verified] == [(Type.ID, MEMORY_KIB, TIME_COST, 1)]
