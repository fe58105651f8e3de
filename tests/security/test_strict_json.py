import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authapp.security import strict_json

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)


def refused(data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        strict_json.loads_object(data)


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_object_is_read_as_it_was_written(value: dict[str, Any], ascii_only: bool) -> None:
    assert strict_json.loads_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\u0dNaIe1.-', max_size=30).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_it_is_an_object_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(strict_json.loads_object(data), dict)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": [0, {"b": [{"c": 1, "d": 2, "c": 3}]}]}',
        b'{"": 1, "": 2}',
    ],
)
def test_a_duplicate_key_is_refused_at_any_depth(data: bytes) -> None:
    refused(data, "twice")


def test_equal_keys_of_two_objects_are_no_duplicates() -> None:
    assert strict_json.loads_object(b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}')["b"] == [{"a": 1}, {"a": 2}]


def test_an_object_of_ten_thousand_keys_is_read() -> None:
    value = {f"key{number}": number for number in range(10_000)}

    assert strict_json.loads_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_the_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 2) + b"[]" + closing * (depth - 2) + b"}"

    assert strict_json.loads_object(nested(32))
    refused(nested(33), "too deeply")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_hundred_thousand_levels_do_no_harm(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]

    refused(b'{"a":' + opening * 100_000, "too deeply")
    refused(b'{"a":' + opening * 100_000 + b"1" + closing * 100_000 + b"}", "too deeply")


@pytest.mark.parametrize(
    "data", [b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": [{"b": ["x\\u0000y"]}]}', b'{"a": {"b\\u0000": 1}}']
)
def test_nul_is_refused_in_keys_and_values(data: bytes) -> None:
    refused(data, "NUL")


@pytest.mark.parametrize(
    "data",
    [b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": [{"b": "x\\udc00\\ud800y"}]}', b'{"a": {"\\uD83Dz": 1}}'],
)
def test_a_lone_surrogate_is_refused_in_keys_and_values(data: bytes) -> None:
    refused(data, "surrogate")


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert strict_json.loads_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("template", ['{"a": %s}', '{"a": [{"b": %s}]}'])
def test_numbers_that_json_does_not_have_are_refused(name: str, template: str) -> None:
    refused((template % name).encode(), name)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400 + ".0"])
def test_a_number_that_would_become_infinity_is_refused(number: str) -> None:
    refused(f'{{"a": {number}}}'.encode(), "number")


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000])
def test_a_number_of_five_thousand_digits_is_refused(number: str) -> None:
    refused(f'{{"a": {number}}}'.encode(), "[a-z]")


def test_a_number_of_64_digits_is_read_and_a_longer_one_is_not() -> None:
    assert strict_json.loads_object(b'{"a": ' + b"9" * 64 + b"}") == {"a": 10**64 - 1}
    refused(b'{"a": ' + b"9" * 65 + b"}", "too large")


def test_the_refusal_of_a_huge_number_tells_nothing_of_python() -> None:
    with pytest.raises(ValueError, match=r"[a-z]") as error:
        strict_json.loads_object(b'{"a": ' + b"1" * 5000 + b"}")
    assert "set_int_max_str_digits" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_only_utf_8_without_a_byte_order_mark_is_read(encoding: str) -> None:
    refused('{"a": "b"}'.encode(encoding), "not (JSON|UTF-8)")


@pytest.mark.parametrize("data", [b'{"a": "\xff"}', b'{"a": "\xc0\x80"}', b'{"a": "\xed\xa0\x80"}', b'{"\xe9": 1}'])
def test_bytes_that_are_not_utf_8_are_refused(data: bytes) -> None:
    refused(data, "not UTF-8")


@pytest.mark.parametrize("data", [b"[]", b'[{"a": 1}]', b"1", b"1.5", b'"a"', b"true", b"null"])
def test_what_is_not_an_object_is_refused(data: bytes) -> None:
    refused(data, "one JSON object")


NOT_JSON = """ | |{|}|{"a"}|{"a": }|{"a": 1,}|{'a': 1}|{a: 1}|{"a": 1} {"b": 2}|{"a": 1}x|{"a": 01}|{"a": +1}|{"a": .5}|
{"a": 0x1}|{"a": "\t"}|{"a": "\\x41"}|{"a": 1 /* b */}|\v{"a": 1}|{"a": "\0"}|{"a": "\\ud8"}|a=1&b=2"""


@pytest.mark.parametrize("text", ["", *NOT_JSON.split("|")])
def test_what_is_not_json_is_refused(text: str) -> None:
    refused(text.encode(), "not JSON")
