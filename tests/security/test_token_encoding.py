"""One token has one spelling, and reading it costs little."""

import itertools
import json
import string
from typing import Any

import pytest

from authapp.errors import TokenInvalid
from authapp.security import base64url
from authapp.security.tokens import MAX_LENGTH
from security.forging import TOKENS, claims, forged, header, segment, signed

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read(token)


def with_spare_bits(members: dict[str, Any]) -> str:
    """Return a segment whose last character has bits that decode to nothing."""
    data = json.dumps(members).encode()
    return segment(data if len(data) % 3 else data + b" ")


def respelled(text: str) -> str:
    """Return ``text`` with one spare bit set, which decodes to the same bytes."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]


def test_unused_bits_of_the_signature_must_be_zero() -> None:
    token = forged()

    assert TOKENS.read(token)
    refused(respelled(token))


@pytest.mark.parametrize("which", [0, 1])
def test_unused_bits_of_signed_segments_must_be_zero(which: int) -> None:
    segments = [with_spare_bits(header()), with_spare_bits(claims())]
    assert TOKENS.read(signed(".".join(segments)))

    segments[which] = respelled(segments[which])

    refused(signed(".".join(segments)))


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["=", "==", "\n", " ", "\t", "\r\n", "\0", "%3D", "\u00e9"])
def test_padding_and_white_space_are_no_part_of_a_token(which: int, suffix: str) -> None:
    segments = forged().split(".")
    segments[which] += suffix

    refused(".".join(segments))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("suffix", ["=", "==", "\n"])
def test_a_true_signature_over_padding_does_not_help(which: int, suffix: str) -> None:
    segments = [segment(header()), segment(claims())]
    segments[which] += suffix

    refused(signed(".".join(segments)))


@pytest.mark.parametrize(("ours", "other"), [("-", "+"), ("_", "/")])
def test_the_other_base64_alphabet_is_refused(ours: str, other: str) -> None:
    head = segment(header())
    fillers = (" " * shift + filler for shift in range(3) for filler in (">>>", "???"))
    body = next(text for filler in fillers if ours in (text := segment(claims(filler=filler))))
    assert TOKENS.read(signed(f"{head}.{body}"))

    refused(signed(f"{head}.{body.replace(ours, other)}"))


@pytest.mark.parametrize("prefix", [" ", "\n", "Bearer ", "=", ".", "\ufeff"])
def test_nothing_stands_before_a_token(prefix: str) -> None:
    refused(prefix + forged())


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_a_token_has_three_segments(count: int) -> None:
    segments = [*forged().split("."), segment(claims()), "AA"]

    refused(".".join(segments[:count]))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "....", "a", "a.b", "a.b.c", "\0", "\ud800", "\u00e9.\u00e9.\u00e9"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refused(token)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_empty_segment_is_refused(which: int) -> None:
    segments = forged().split(".")
    segments[which] = ""

    refused(".".join(segments))


def test_a_second_signature_segment_is_refused_though_it_is_true() -> None:
    refused(signed(forged()))


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_header_that_repeats_a_member_is_refused(name: str) -> None:
    head = header()
    raw = json.dumps(head)[:-1] + f", {json.dumps(name)}: {json.dumps(head[name])}}}"

    refused(forged(raw.encode()))


@pytest.mark.parametrize("name", ["sub", "exp", "type", "sid"])
def test_claims_that_repeat_a_member_are_refused(name: str) -> None:
    body = claims()
    raw = json.dumps(body)[:-1] + f", {json.dumps(name)}: {json.dumps(body[name])}}}"

    refused(forged(claims_=raw.encode()))


def test_claims_that_repeat_a_nested_member_are_refused() -> None:
    raw = json.dumps(claims())[:-1] + ', "extra": {"a": 1, "a": 2}}'

    refused(forged(claims_=raw.encode()))


@pytest.mark.parametrize("depth", [40, 1000])
def test_a_token_nested_beyond_reason_is_refused(depth: int) -> None:
    nest = b"[" * depth + b"]" * depth
    refused(forged(json.dumps(header()).encode()[:-1] + b', "x": ' + nest + b"}"))
    refused(forged(claims_=json.dumps(claims()).encode()[:-1] + b', "x": ' + nest + b"}"))


def of_length(length: int) -> str:
    """Return a good token of this many characters."""
    for spaces, filler in itertools.product(range(4), range(length * 3 // 4 - 700, length * 3 // 4)):
        head = json.dumps(header()).encode() + b" " * spaces
        if len(token := forged(head, claims(filler="x" * filler))) == length:
            return token
    raise AssertionError("no token has this length")


def test_a_token_of_4096_characters_is_read_and_a_longer_one_is_not() -> None:
    assert MAX_LENGTH == 4096
    assert TOKENS.read(of_length(4096))
    refused(of_length(4097))


def test_a_long_token_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    token = forged(claims_=claims(filler="x" * 4096))

    def decode(text: str) -> bytes:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(base64url, "decode", decode)
    refused(token)
    refused("." * 10_000_000)
