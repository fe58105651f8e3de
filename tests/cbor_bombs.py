"""CBOR that takes a general parser long, or makes it do what an authenticator never asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import cbor2
import pytest

from authenticator import AT, ED, UP, UV, Authenticator

REGULAR_EXPRESSION = bytes.fromhex("d823 65 6161616161")

BOMBS = [
    pytest.param(REGULAR_EXPRESSION, id="tag-35-regular-expression"),
    pytest.param(cbor2.dumps({"x": cbor2.CBORTag(4, [1, -(2**2048)])}), id="tag-4-decimal-fraction"),
    pytest.param(cbor2.dumps({number << 48: 0 for number in range(200)}), id="colliding-keys"),
    pytest.param(b"\x81" * 800 + b"\0", id="deep-nesting"),
    pytest.param(b"\xbf\x61x\x00\xff", id="map-without-length"),
    pytest.param(b"\xa1\x61x\x9f\xff", id="array-without-length"),
    pytest.param(b"\xa1\x61x\x5f\x41x\xff", id="bytes-without-length"),
    pytest.param(b"\xa1\x82\x00\x00\x00", id="array-as-a-key"),
    pytest.param(b"\xa1\x61x\xfb" + b"\x7f" * 8, id="fraction"),
]
"""Each is one item, and short."""

BOMB_IN_A_LONG_KEY = b"\xa1\x1b" + (1).to_bytes(8, "big") + b"\x48" + REGULAR_EXPRESSION
"""A key that is eight bytes shorter in its shortest form: a parser that relies on that goes on at the bomb."""


def data_with(bomb: bytes, rp_id: str, *, as_key: bool = False) -> bytes:
    """Return authenticator data whose extensions, or public key, is the bomb."""
    authenticator = Authenticator(flags=UP | UV | ED | (AT if as_key else 0))
    attested = bytes(16) + b"\x00\x20" + authenticator.credential_id if as_key else b""
    return authenticator.header(rp_id, authenticator.flags) + attested + bomb


@contextmanager
def unparsed() -> Iterator[None]:
    """Check that meanwhile py_webauthn's CBOR parser is given nothing."""
    with patch("cbor2.loads") as loads:
        yield
    assert loads.call_count == 0
