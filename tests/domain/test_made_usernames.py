"""Usernames for accounts that come without one, whether from a provider or from another system."""

import pytest

from authapp.domain.users.made_usernames import made_username, with_suffix
from authapp.models.user import is_username


@pytest.mark.parametrize(
    ("names", "made"),
    [
        (["grace@example.com"], "grace"),
        (["M\u00fcller@example.com"], "Muller"),
        (["Zo\u00eb  \u00c5ngstr\u00f6m"], "Zoe--Angstrom"),
        (["first.last+tag@example.com"], "first.last-tag"),
        (["\u6f22\u5b57", "..", "x@example.org", "kept"], "kept"),
        (["a@example.com"], "user"),
        ([], "user"),
        (["_-.ada.-_"], "ada"),
        (["a" * 31 + "-b"], "a" * 31),
        (["a" * 100_000], "a" * 32),
    ],
    ids=str,
)
def test_a_username_is_made_of_the_first_name_that_gives_one(names: list[str], made: str) -> None:
    assert made_username(names) == made
    assert is_username(made)


@pytest.mark.parametrize(("username", "other"), [("ada", "ada-0a1b2c3d"), ("a" * 32, "a" * 23 + "-0a1b2c3d")])
def test_a_username_that_is_taken_gets_a_suffix(username: str, other: str) -> None:
    assert with_suffix(username, "0a1b2c3d") == other
    assert is_username(other)
