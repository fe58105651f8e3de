"""Whatever is done to a token, and whatever is sent instead of one: it is refused by name."""

import contextlib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from authapp.errors import TokenExpired, TokenInvalid
from security.forging import TOKENS, claims, forged, header

TOKEN = forged()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
POSITIONS = st.integers(0, len(TOKEN) - 1)
CHARACTERS = st.sampled_from(ALPHABET + "+/=. \n\0") | st.characters()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
quickly = settings(max_examples=150, deadline=None)


def refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read(token)


@given(POSITIONS, CHARACTERS)
@settings(max_examples=400, deadline=None)
def test_a_token_with_one_other_character_opens_nothing(position: int, character: str) -> None:
    assume(TOKEN[position] != character)

    refused(TOKEN[:position] + character + TOKEN[position + 1 :])


def test_a_token_with_another_last_character_opens_nothing() -> None:
    for character in set(ALPHABET) - {TOKEN[-1]}:
        refused(TOKEN[:-1] + character)


@given(POSITIONS, st.text(CHARACTERS, min_size=1, max_size=3))
@quickly
def test_a_token_with_something_inserted_opens_nothing(position: int, text: str) -> None:
    refused(TOKEN[:position] + text + TOKEN[position:])
    refused(TOKEN + text)


@given(POSITIONS, st.integers(1, 5))
@quickly
def test_a_token_with_something_left_out_opens_nothing(position: int, count: int) -> None:
    refused(TOKEN[:position])
    refused(TOKEN[position + 1 :])
    refused(TOKEN[:position] + TOKEN[position + count :])


@pytest.mark.parametrize("choice", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_segments_of_two_good_tokens_cannot_be_mixed(choice: tuple[int, int, int]) -> None:
    good = [forged(), forged(header(typ="rt+jwt"), claims(type="refresh"))]
    assert all(TOKENS.read(token) for token in good)

    refused(".".join(good[which].split(".")[index] for index, which in enumerate(choice)))


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 0, 2), (0, 1, 1)])
def test_segments_cannot_change_places(order: tuple[int, int, int]) -> None:
    segments = TOKEN.split(".")

    refused(".".join(segments[index] for index in order))


@given(st.text(max_size=60) | st.lists(st.text(ALPHABET, max_size=20), max_size=5).map(".".join))
@settings(max_examples=300, deadline=None)
def test_no_text_whatever_is_anything_but_invalid(text: str) -> None:
    refused(text)


@given(st.text(st.characters(categories=["Cs"]) | CHARACTERS, max_size=8), st.integers(0, 2))
@quickly
def test_no_segment_whatever_is_anything_but_invalid(text: str, which: int) -> None:
    segments = TOKEN.split(".")
    assume(segments[which] != text)
    segments[which] = text

    refused(".".join(segments))


@given(JSON, st.sampled_from(["header", "claims"]))
@quickly
def test_no_content_whatever_under_a_true_signature_is_anything_but_invalid(content: Any, where: str) -> None:
    refused(forged(content if where == "header" else header(), content if where == "claims" else claims()))


@given(st.sampled_from(sorted(claims())), JSON)
@quickly
def test_no_claim_whatever_under_a_true_signature_breaks_the_reader(name: str, value: Any) -> None:
    with contextlib.suppress(TokenInvalid, TokenExpired):
        assert TOKENS.read(forged(claims_=claims(**{name: value})))[name] == value


@given(st.sampled_from(sorted(header())), JSON)
@quickly
def test_no_header_member_whatever_under_a_true_signature_breaks_the_reader(name: str, value: Any) -> None:
    assume(value != header()[name])

    refused(forged(header(**{name: value})))
