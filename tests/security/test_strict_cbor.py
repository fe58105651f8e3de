"""The strict CBOR parser: it reads what an honest encoder writes, and refuses the rest without obeying it."""

import contextlib
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authapp.security import strict_cbor
from cbor_bombs import BOMBS

KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
SCALARS = KEYS | st.binary(max_size=300) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(VALUES.filter(lambda value: depth(value) <= strict_cbor.MAX_DEPTH))
@settings(max_examples=100, deadline=None)
def test_a_value_is_read_as_it_was_written(value: Any) -> None:
    assert strict_cbor.loads(cbor2.dumps(value)) == value


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_it_agrees_with_the_library_or_is_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert strict_cbor.loads(data) == cbor2.loads(data)


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_no_authenticator_writes_is_refused(bomb: bytes) -> None:
    with pytest.raises(ValueError, match="CBOR"):
        strict_cbor.loads(bomb)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0\0", id="two"),
        pytest.param(b"\xa2\0\0\0\0", id="a-key-twice"),
        pytest.param(b"\xa2\x01\x00\x18\x01\x00", id="a-key-twice-in-another-form"),
        pytest.param(b"\xa1\xf5\0", id="true-as-a-key"),
        pytest.param(b"\x58\x02x", id="too-short"),
        pytest.param(b"\x9b" + b"\xff" * 8 + b"\0" * 4000, id="an-array-without-end"),
        pytest.param(b"\x61\xff", id="not-utf-8"),
        pytest.param(b"\xf7", id="undefined"),
        pytest.param(b"\x1c", id="reserved"),
    ],
)
def test_what_is_not_one_value_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has a sentence of its own
        strict_cbor.loads(data)


def test_depth_and_items_are_bounded() -> None:
    assert strict_cbor.loads(b"\x81" * 4 + b"\0") == [[[[0]]]]
    assert len(strict_cbor.loads(cbor2.dumps([0] * 63))) == 63
    for data in (b"\x81" * 5 + b"\0", cbor2.dumps([0] * 64)):
        with pytest.raises(ValueError, match="CBOR"):
            strict_cbor.loads(data)
