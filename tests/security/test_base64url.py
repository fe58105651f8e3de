import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authapp.security import base64url


@given(st.binary(min_size=1, max_size=100))
@settings(max_examples=100, deadline=None)
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    text = base64url.encode(data)

    assert "=" not in text
    assert base64url.decode(text) == data


@given(st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_no_bytes_have_two_spellings(text: str) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text


def test_the_alphabet_is_the_one_for_urls() -> None:
    assert base64url.encode(b"\xfb\xff\xfe") == "-__-"
    assert base64url.decode("-__-") == b"\xfb\xff\xfe"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "QQ==",
        "QUI=",
        "+/+/",
        "QUJD\n",
        "\nQUJD",
        "QU JD",
        " QUJD",
        "QUJD ",
        "QUJD\r\n",
        "QU.JD",
        "QUJ\0D",
        "QUJ\u00e9",
        "\uff11\uff12\uff13\uff14",  # digits, to str.isdigit
        "\ud800QUJ",
    ],
)
def test_what_is_not_in_the_alphabet_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        base64url.decode(text)


@pytest.mark.parametrize("text", ["Q", "QUJDR"])
def test_a_length_that_no_bytes_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        base64url.decode(text)


@pytest.mark.parametrize(("text", "canonical"), [("QR", "QQ"), ("Qf", "QQ"), ("QUJ", "QUI"), ("QUL", "QUI")])
def test_unused_bits_must_be_zero(text: str, canonical: str) -> None:
    assert base64url.decode(canonical)
    with pytest.raises(ValueError, match="canonical"):
        base64url.decode(text)
