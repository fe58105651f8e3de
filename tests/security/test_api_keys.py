"""The format of API keys, which scanners of secrets rely on."""

import re
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from authapp.security import api_keys, identifiers

PAGE = Path(__file__).parents[2] / "docs" / "api-keys.md"
USER, KEY = UUID("019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77"), UUID("019aa7c5-0000-7000-8000-000000000001")


def test_a_key_names_its_owner_and_itself() -> None:
    key = api_keys.generate(USER, KEY)
    assert api_keys.parse(key) == api_keys.KeyIds(USER, KEY)
    assert key.startswith(api_keys.prefix_of(USER, KEY))
    assert len(api_keys.prefix_of(USER, KEY)) == api_keys.PREFIX_LENGTH


@pytest.mark.parametrize("number", [0, 1, 2**128 - 1], ids=["least", "one", "greatest"])
def test_every_id_has_the_same_length(number: int) -> None:
    key = api_keys.generate(UUID(int=number), UUID(int=number))
    assert len(key) == api_keys.LENGTH == 3 + 22 + 22 + 43 + 6
    assert api_keys.parse(key) == api_keys.KeyIds(UUID(int=number), UUID(int=number))


def test_two_keys_of_the_same_ids_differ_in_their_secret() -> None:
    secrets = {api_keys.generate(USER, KEY)[api_keys.PREFIX_LENGTH : -6] for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) == 43 for secret in secrets)


def test_a_scanner_finds_a_key_in_text_and_checks_it() -> None:
    key = api_keys.generate(USER, KEY)
    (found,) = re.findall(rf"\b{api_keys.PATTERN}\b", f"curl -H 'Authorization: Bearer {key}' https://api.example.com")
    # By the expression and the rule in the documentation, not by the code under test.
    expression, rule = re.findall(r"```(?:text|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert re.findall(expression.strip(), f"key={key}; {key}x") == [found]
    documented: dict[str, Any] = {}
    exec(rule, documented)
    assert documented["is_key"](found)
    assert not documented["is_key"](f"{found[:-7]}{'0' if found[-7] != '0' else '1'}{found[-6:]}")


def test_a_key_with_any_changed_character_is_none() -> None:
    key = api_keys.generate(USER, KEY)
    for position in range(len(key)):
        other = "0" if key[position] != "0" else "1"
        with pytest.raises(ValueError, match="not a key"):
            api_keys.parse(key[:position] + other + key[position + 1 :])


@pytest.mark.parametrize("change", ["short", "long", "blank", "newline", "umlaut", "digits"])
def test_what_only_looks_like_a_key_is_none(change: str) -> None:
    key = api_keys.generate(USER, KEY)
    changed = {
        "short": key[:-1],
        "long": key + "0",
        "blank": f" {key}",
        "newline": f"{key}\n",
        "umlaut": f"{key[:-7]}ä{key[-6:]}",
        "digits": f"{key[:-7]}٣{key[-6:]}",
    }[change]
    with pytest.raises(ValueError, match="not a key"):
        api_keys.parse(changed)


def test_an_id_beyond_128_bits_is_none() -> None:
    body = f"{api_keys.TAG}{'z' * 22}{'0' * 65}"
    with pytest.raises(ValueError, match="128"):
        api_keys.parse(body + api_keys.checksum(body))


def test_only_the_hash_is_compared() -> None:
    key, other = api_keys.generate(USER, KEY), api_keys.generate(USER, KEY)
    assert api_keys.hash_of(key) == sha256(key.encode()).digest()
    assert api_keys.matches(key, api_keys.hash_of(key))
    assert not api_keys.matches(other, api_keys.hash_of(key))


def test_the_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    key, compared = api_keys.generate(USER, KEY), []

    def compare(*hashes: bytes) -> bool:
        compared.append(hashes)
        return compare_digest(*hashes)

    monkeypatch.setattr(api_keys, "compare_digest", compare)
    assert api_keys.matches(key, api_keys.hash_of(key))
    assert compared == [(api_keys.hash_of(key), api_keys.hash_of(key))]


def test_keys_are_of_time_ordered_ids() -> None:
    assert api_keys.prefix_of(USER, identifiers.time_ordered()) > api_keys.prefix_of(USER, KEY)
