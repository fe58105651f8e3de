"""TOTP against the vectors of RFC 6238 and RFC 4226, and what an authenticator app reads."""

import shutil
import subprocess
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from authapp.domain.factors import totp

RFC_SECRET = b"12345678901234567890"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TWINS = bytes.fromhex("7477696e73000000000000000000000000049ae6")
"""A secret for which the steps of ``NOW`` and of 30 seconds later have the same code."""

VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""RFC 6238, appendix B, for SHA-1: the last six of its eight digits are the code."""

HOTP = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
"""RFC 4226, appendix D."""


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_the_vectors_of_rfc_6238(seconds: int, digits: str) -> None:
    time = datetime.fromtimestamp(seconds, UTC)

    assert totp.code_at(RFC_SECRET, totp.step_at(time)) == digits[-6:]
    assert totp.matching_step(RFC_SECRET, digits[-6:], time) == seconds // 30


@pytest.mark.parametrize("counter", range(10))
def test_the_vectors_of_rfc_4226(counter: int) -> None:
    assert totp.code_at(RFC_SECRET, counter) == HOTP[counter]


@pytest.mark.skipif(shutil.which("oathtool") is None, reason="oathtool is not installed")
def test_oathtool_computes_the_same_codes() -> None:
    for number in range(20):
        secret, time = totp.new_secret(), NOW + timedelta(seconds=number * 12_345_677)
        command = ["oathtool", "--totp", "--base32", totp.secret_text(secret), "--now", time.isoformat(" ")]
        expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert totp.code_at(secret, totp.step_at(time)) == expected


def test_a_secret_has_160_random_bits_and_no_padding_as_text() -> None:
    secrets = {totp.new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {20}
    assert all(b32decode(totp.secret_text(secret)) == secret for secret in secrets)


@pytest.mark.parametrize("offset", range(-4, 5))
def test_a_code_of_one_step_before_or_after_is_accepted_and_no_other(offset: int) -> None:
    step = totp.step_at(NOW) + offset

    found = totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, step), NOW)

    assert found == (step if abs(offset) <= 1 else None)


@pytest.mark.parametrize("second", [0, 29])
def test_a_step_lasts_30_seconds(second: int) -> None:
    code = totp.code_at(RFC_SECRET, totp.step_at(NOW))

    assert totp.step_at(NOW + timedelta(seconds=second)) == totp.step_at(NOW)
    assert totp.step_at(NOW + timedelta(seconds=30)) == totp.step_at(NOW) + 1
    assert totp.matching_step(RFC_SECRET, code, NOW + timedelta(seconds=30 + second)) is not None
    assert totp.matching_step(RFC_SECRET, code, NOW + timedelta(seconds=60 + second)) is None


def test_of_two_steps_with_one_code_the_later_is_taken() -> None:
    step = totp.step_at(NOW)
    code = totp.code_at(TWINS, step)

    assert code == totp.code_at(TWINS, step + 1)
    assert totp.matching_step(TWINS, code, NOW) == step + 1


def test_all_three_candidates_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(expected: str, code: str) -> bool:
        compared.append(expected)
        return expected == code

    monkeypatch.setattr(totp.hmac, "compare_digest", compare)
    for offset in (-1, 0, 1, 5):
        totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, totp.step_at(NOW) + offset), NOW)

    steps = range(totp.step_at(NOW) - 1, totp.step_at(NOW) + 2)
    assert compared == [totp.code_at(RFC_SECRET, step) for step in steps] * 4


@pytest.mark.parametrize(
    "code",
    [
        *("", "12345", "1234567", "12345a", "12 345", " 23456", "123456\n", "-12345"),
        *("\u0661" * 6, "\ud800" * 6, "1" * 1_000_000),
    ],
    ids=lambda code: ascii(code[:20]),
)
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert totp.matching_step(RFC_SECRET, code, NOW) is None


@pytest.mark.parametrize("username", ["ada", "a.b-c_d", "name with blanks", "a:b", "a/b?c#d&e=f", "Ådá", "100%"])
@pytest.mark.parametrize("issuer", ["auth.example.com", "Example & Sons", "münchen.example"])
def test_an_app_reads_the_issuer_twice_and_the_name(issuer: str, username: str) -> None:
    uri = totp.otpauth_uri(RFC_SECRET, issuer, username)

    url = urlsplit(uri)
    assert uri.isascii()
    assert (url.scheme, url.netloc, url.fragment, uri.count("?")) == ("otpauth", "totp", "", 1)
    in_label, _, name = url.path.removeprefix("/").partition(":")
    assert (unquote(in_label), unquote(name)) == (issuer, username)
    assert "+" not in uri
    assert parse_qs(url.query, strict_parsing=True) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": [issuer],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_an_issuer_that_is_an_ipv6_address_has_no_colons() -> None:
    assert totp.otpauth_uri(RFC_SECRET, "2001:db8::1", "ada").startswith("otpauth://totp/2001db81:ada?")


def test_the_qr_code_is_one_svg_element_without_script_or_style() -> None:
    svg = totp.qr_svg(totp.otpauth_uri(RFC_SECRET, "</title><script>", "<script>alert(1)</script>"))

    root = ET.fromstring(svg)
    assert svg.startswith("<svg ")
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in root.attrib
    assert {element.tag.partition("}")[2] for element in root.iter()} == {"svg", "title", "path"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert attributes <= {"viewBox", "d", "fill", "stroke", "transform"}, attributes
    assert root[0].text == "QR code for an authenticator app"


def test_the_longest_names_fit_into_a_qr_code() -> None:
    assert totp.qr_svg(totp.otpauth_uri(RFC_SECRET, "a" * 253, "b" * 32))
