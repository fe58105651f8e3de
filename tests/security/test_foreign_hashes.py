"""Hashes of other systems: read, bounded, and replaced."""

import re

import bcrypt
import pytest

from authapp.security.foreign_hashes import IMPORTED_PREFIX, HashFormat, cost_of, hash_formats, verifier
from authapp.security.passwords import FloorArgon2Hasher, Passwords
from security.foreign import FOREIGN_PASSWORD, HASHES

PASSWORDS = Passwords(memory_kib=16, time_cost=2)
BCRYPT = HASHES["auth0 bcrypt"]
A_KEY = "A" * 43


@pytest.mark.parametrize("made_by", HASHES)
def test_a_hash_of_each_system_opens_with_its_password_and_becomes_ours(made_by: str) -> None:
    stored = IMPORTED_PREFIX + HASHES[made_by]

    correct, replacement = PASSWORDS.verify(FOREIGN_PASSWORD, stored)

    assert correct
    assert replacement is not None
    assert replacement.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert PASSWORDS.verify(FOREIGN_PASSWORD, replacement) == (True, None)
    assert PASSWORDS.verify(FOREIGN_PASSWORD + "x", stored) == (False, None)


@pytest.mark.parametrize("made_by", [name for name in HASHES if name != "better-auth scrypt"])
def test_only_better_auth_normalises_passwords(made_by: str) -> None:
    assert PASSWORDS.verify("p\u00e4ssword of another IV", IMPORTED_PREFIX + HASHES[made_by]) == (False, None)


def test_better_auth_takes_two_spellings_of_one_password() -> None:
    assert PASSWORDS.verify("p\u00e4ssword of another IV", IMPORTED_PREFIX + HASHES["better-auth scrypt"])[0]


@pytest.mark.parametrize(
    "expensive",
    [
        BCRYPT.replace("$10$", "$15$"),
        BCRYPT.replace("$10$", "$31$"),
        BCRYPT.replace("$10$", "$03$"),
        "bcrypt_sha256$" + BCRYPT.replace("$10$", "$15$"),
        f"pbkdf2_sha256$2000001$salt${A_KEY}",
        f"pbkdf2_sha256$0$salt${A_KEY}",
        f"$pbkdf2-sha256$2000001$c2FsdA${A_KEY}",
        # Two blocks, so twice the iterations.
        f"$pbkdf2-sha256$1000001$c2FsdA${'A' * 86}",
        f"$scrypt$ln=19,r=8,p=1$c2FsdA${A_KEY}",
        f"$scrypt$ln=15,r=8,p=9$c2FsdA${A_KEY}",
        f"$scrypt$ln=99,r=8,p=1$c2FsdA${A_KEY}",
        f"scrypt$524288$salt$8$1${A_KEY}",
        f"scrypt$16383$salt$8$1${A_KEY}",
        f"scrypt$16384$salt$0$1${A_KEY}",
        f"$fbscrypt$v=1,n=19,r=8,p=1,ss=Bw==,sk={A_KEY}$c2FsdA${A_KEY}",
        "scrypt:524288:8:1$salt$" + "0" * 128,
        "pbkdf2:sha256:2000001$salt$" + "0" * 64,
        f"$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ${A_KEY}",
        f"$argon2id$v=19$m=262144,t=5,p=1$c2FsdHNhbHQ${A_KEY}",
        f"$argon2id$v=19$m=1024,t=1,p=65$c2FsdHNhbHQ${A_KEY}",
        # Little memory, and threads that start 130,000 times.
        f"$argon2id$v=19$m=128,t=8192,p=16$c2FsdHNhbHQ${A_KEY}",
        f"$scrypt$ln=1,r=1,p=1048576$c2FsdA${A_KEY}",
    ],
)
def test_a_hash_that_costs_too_much_is_refused_before_it_is_computed(expensive: str) -> None:
    with pytest.raises(ValueError, match=r"^The .*\.$"):
        verifier(expensive)


@pytest.mark.parametrize(
    "unknown",
    [
        "",
        "plain text",
        "d41d8cd98f00b204e9800998ecf8427e",
        "$1$salt$hash",
        BCRYPT + "x",
        BCRYPT[:-1],
        BCRYPT + "\n",
        "{SSHA}AAAA",
        f"$pbkdf2-sha256$1000$c2FsdA${'A' * 8}",
        f"$pbkdf2-sha256$1000$c2FsdA${'A' * 41}",
        "$argon2id$v=19$damaged",
        "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$",
        "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$AAAA",
        f"$argon2i$v=19$m=0,t=0,p=0$c2FsdHNhbHQ${A_KEY}",
        f"$argon2id$v=19$m=8,t=1,p=2$c2FsdHNhbHQ${A_KEY}",
        "pbkdf2:sha256:0$salt$" + "0" * 64,
        "pbkdf2:sha256:1000$salt$" + "0" * 62,
        "scrypt:32768:8:1$salt$" + "0" * 64,
        "pbkdf2_sha256$1000$" + "s" * 2000 + "$" + A_KEY,
        IMPORTED_PREFIX + BCRYPT,
    ],
)
def test_what_is_no_hash_is_refused(unknown: str) -> None:
    with pytest.raises(ValueError, match=r"^The .*\.$"):
        verifier(unknown)


@pytest.mark.parametrize(
    ("hashed", "sent"), [("a" * 72, "a" * 73), ("abc", "abc\0def")], ids=["over 72 bytes", "a NUL byte"]
)
def test_a_bcrypt_hash_does_not_open_for_a_password_of_which_it_would_read_the_start(hashed: str, sent: str) -> None:
    stored = IMPORTED_PREFIX + bcrypt.hashpw(hashed.encode(), bcrypt.gensalt(4)).decode()

    assert PASSWORDS.verify(hashed, stored)[0]
    assert PASSWORDS.verify(sent, stored) == (False, None)


def test_a_refused_hash_costs_a_login_what_a_missing_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    monkeypatch.setattr(FloorArgon2Hasher, "verify", lambda _, _password, stored: bool(verified.append(stored)))

    for stored in (IMPORTED_PREFIX + "nothing", None):
        assert PASSWORDS.verify(FOREIGN_PASSWORD, stored) == (False, None)

    refused, missing = verified
    assert refused == missing
    assert refused.startswith("$argon2id$v=19$m=16,t=2,p=1$")


@pytest.mark.parametrize(
    ("made_by", "name", "cost"),
    [
        ("django pbkdf2_sha256", "django_pbkdf2", (256, 1_000_000, 44)),
        ("django bcrypt", "bcrypt", (12, 60)),
        ("django scrypt", "django_scrypt", (16_384, 8, 5, 88)),
        ("laravel argon2id", "argon2", (19, 65_536, 4, 1, 97)),
        ("passlib ldap_salted_sha1", "ldap_salted_sha1", (32,)),
        ("firebase scrypt", "firebase", (14, 8, 1, 88)),
    ],
)
def test_the_cost_of_a_hash_is_its_numbers_without_its_salt(made_by: str, name: str, cost: tuple[int, ...]) -> None:
    assert cost_of(HASHES[made_by]) == (name, cost)


def test_a_format_needs_the_group_of_the_hash() -> None:
    with pytest.raises(ValueError, match="hash"):
        HashFormat(re.compile(".+"), lambda _: bool)


def test_a_format_of_another_package_is_read() -> None:
    pattern = re.compile(r"plain\$(?P<cost>\d+)\$(?P<hash>.+)")
    hash_formats.register("acme_plain", HashFormat(pattern, lambda match: match["hash"].__eq__))
    try:
        assert verifier("plain$5$open sesame")("open sesame")
        assert PASSWORDS.verify("open sesame", f"{IMPORTED_PREFIX}plain$5$open sesame")[0]
        assert cost_of("plain$5$open sesame") == ("acme_plain", (5, 11))
    finally:
        hash_formats.unregister("acme_plain")
