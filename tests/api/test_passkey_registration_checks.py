"""WebAuthn Level 3, section 7.1: each check of a registration, broken alone. A name has the number of its step."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any
from unittest.mock import Mock

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask

from authapp import clock
from authapp.models import User
from authapp.security import base64url, passkey_responses
from authenticator import (
    AT,
    BE,
    BS,
    ED,
    EDDSA,
    ES256,
    ORIGIN,
    OTHER_ORIGINS,
    RP_ID,
    RS256,
    UP,
    UV,
    Authenticator,
    add_passkey,
    cose_key,
    creation_options,
    new_key,
    not_canonical,
    request_options,
    send_registration,
)
from cbor_bombs import BOMB_IN_A_LONG_KEY, BOMBS, data_with, unparsed
from clocks import Time
from factories import Api, a_session, a_user, problem

Options = dict[str, Any]
Credential = dict[str, Any]


def register(api: Api, token: str, authenticator: Authenticator | None = None, **changes: Any) -> Any:
    options = creation_options(api, token)
    return send_registration(api, token, options, (authenticator or Authenticator()).create(options, **changes))


def refused(api: Api, token: str, authenticator: Authenticator | None = None, **changes: Any) -> None:
    problem(register(api, token, authenticator, **changes), 401, "passkey_invalid")
    assert api.get("/users/me/passkeys", token).get_json() == {"items": []}


def test_an_honest_registration_passes(api: Api, token: str) -> None:
    assert register(api, token).status_code == 201


@pytest.mark.parametrize("name", ["clientDataJSON", "attestationObject"])
def test_encodings_that_are_not_canonical_are_refused(api: Api, token: str, name: str) -> None:
    options = creation_options(api, token)
    makers = (Authenticator(credential_id=b"c" * length) for length in range(32, 35))
    answers = (maker.create(options, client_data={"other": maker.credential_id.decode()}) for maker in makers)
    credential = next(each for each in answers if len(each["response"][name]) % 4)
    credential["response"][name] = not_canonical(credential["response"][name])
    problem(send_registration(api, token, options, credential), 401, "passkey_invalid")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfe{}", id="5-not-utf-8"),
        pytest.param(b"no json", id="6-not-json"),
        pytest.param(b"[]", id="6-not-an-object"),
        pytest.param(b"[" * 10_000, id="6-nested"),
        pytest.param(b'{"type":"webauthn.create"}', id="8-no-challenge"),
        pytest.param(b'{"type":"webauthn.create","challenge":5}', id="8-no-text"),
    ],
)
def test_client_data_that_cannot_be_read_is_refused(api: Api, token: str, data: bytes) -> None:
    refused(api, token, clientDataJSON=base64url.encode(data))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"type": "webauthn.get"}, id="7-get"),
        pytest.param({"type": None}, id="7-none"),
        pytest.param({"challenge": base64url.encode(b"challenge")}, id="8-another"),
        pytest.param({"crossOrigin": True}, id="10-cross-origin"),
        pytest.param({"crossOrigin": "true"}, id="10-text"),
        pytest.param({"crossOrigin": 1}, id="10-number"),
        pytest.param({"topOrigin": ORIGIN}, id="11-top-origin"),
        pytest.param({"crossOrigin": False, "topOrigin": None}, id="11-null"),
    ],
)
def test_client_data_of_something_else_is_refused(api: Api, token: str, changes: dict[str, Any]) -> None:
    refused(api, token, client_data=changes)


@pytest.mark.parametrize("origin", OTHER_ORIGINS, ids=str)
def test_step_9_only_the_exact_origins_pass(api: Api, token: str, origin: Any) -> None:
    refused(api, token, client_data={"origin": origin})


def test_step_9_each_of_the_origins_passes(api: Api, token: str) -> None:
    assert register(api, token, Authenticator(origin="https://example.co.uk")).status_code == 201


def test_step_8_a_challenge_of_another_session_is_refused(app: Flask, api: Api, user: User, token: str) -> None:
    options = creation_options(api, a_session(app, user).access_token)
    problem(send_registration(api, token, options, Authenticator().create(options)), 401, "passkey_invalid")


def test_step_8_a_challenge_of_a_guest_is_refused(api: Api, token: str) -> None:
    options = {**creation_options(api, token), **request_options(api)}
    problem(send_registration(api, token, options, Authenticator().create(options)), 401, "passkey_invalid")


def test_step_8_the_challenge_that_is_named_must_be_the_one_that_was_signed(api: Api, token: str) -> None:
    options, other = creation_options(api, token), creation_options(api, token)
    problem(send_registration(api, token, other, Authenticator().create(options)), 401, "passkey_invalid")
    padded = {**options, "challenge": options["challenge"] + "="}
    problem(send_registration(api, token, options, Authenticator().create(padded)), 401, "passkey_invalid")


def test_step_8_a_challenge_is_good_for_one_passkey(api: Api, token: str) -> None:
    options = creation_options(api, token)
    assert send_registration(api, token, options, Authenticator().create(options)).status_code == 201
    problem(send_registration(api, token, options, Authenticator().create(options)), 401, "passkey_invalid")


def test_step_8_a_challenge_expires_after_five_minutes(api: Api, token: str, time: Time) -> None:
    time.passes(seconds=-2)
    options = creation_options(api, token)
    time.passes(minutes=5)
    problem(send_registration(api, token, options, Authenticator().create(options)), 401, "passkey_invalid")


@pytest.mark.parametrize(
    "attestation",
    [
        pytest.param(b"\xff", id="13-not-cbor"),
        pytest.param(cbor2.dumps([]), id="13-not-a-map"),
        pytest.param(cbor2.dumps({"fmt": "none", "attStmt": {}}), id="13-no-data"),
        pytest.param(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b"short"}), id="13-short"),
        pytest.param(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": "text"}), id="13-text"),
        pytest.param(b"\x9b" + b"\x7f" * 8, id="13-an-array-without-end"),
        pytest.param(b"\x81" * 20_000, id="13-nested"),
    ],
)
def test_an_attestation_that_cannot_be_read_is_refused(api: Api, token: str, attestation: bytes) -> None:
    refused(api, token, attestationObject=base64url.encode(attestation))


@pytest.mark.parametrize("as_key", [False, True], ids=["extension", "key"])
@pytest.mark.parametrize("bomb", [*BOMBS, pytest.param(BOMB_IN_A_LONG_KEY, id="longer-form")])
def test_authenticator_data_that_no_authenticator_writes_are_not_parsed(
    api: Api, token: str, bomb: bytes, as_key: bool
) -> None:
    data = data_with(bomb, RP_ID, as_key=as_key)
    with unparsed():
        refused(api, token, attestation={"authData": data})
        refused(api, token, attestation={"authData": data.hex()})


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_attestation_that_no_authenticator_writes_is_not_parsed(api: Api, token: str, bomb: bytes) -> None:
    honest = cbor2.dumps({"fmt": "none", "authData": Authenticator().header(RP_ID, UP | UV)})
    within = b"\xa3" + honest[1:] + cbor2.dumps("attStmt") + bomb
    with unparsed():
        for attestation in (bomb, within, honest + bomb):
            refused(api, token, attestationObject=base64url.encode(attestation))


def test_an_attestation_that_is_longer_than_any_authenticator_writes_is_not_parsed(api: Api, token: str) -> None:
    with unparsed():
        refused(api, token, attestation={"attStmt": {"sig": bytes(4096)}})


def test_an_extension_is_accepted(api: Api, token: str) -> None:
    assert register(api, token, Authenticator(flags=UP | UV | ED)).status_code == 201


@pytest.mark.parametrize("rp_id", ["app.example.com", "other.example", "https://example.com"])
def test_step_14_the_hash_of_another_domain_is_refused(api: Api, token: str, rp_id: str) -> None:
    refused(api, token, rp_id=rp_id)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(UV, id="15-not-present"),
        pytest.param(UP, id="16-not-verified"),
        pytest.param(UP | UV | BS, id="17-backed-up-and-not-eligible"),
    ],
)
def test_wrong_flags_are_refused(api: Api, token: str, flags: int) -> None:
    refused(api, token, Authenticator(flags=flags))


def test_step_13_data_without_a_credential_is_refused(api: Api, token: str) -> None:
    class WithoutKey(Authenticator):
        def header(self, rp_id: str, flags: int) -> bytes:
            return super().header(rp_id, flags & ~AT)

    refused(api, token, WithoutKey())


P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
SHORT, LONG = rsa.generate_private_key(65_537, 1024), rsa.generate_private_key(65_537, 4104)
OFF_CURVE = {**cose_key(P256, ES256), -2: b"\x01" * 32}


@pytest.mark.parametrize(
    "cose",
    [
        pytest.param(cose_key(P256, -35), id="20-ES384"),
        pytest.param(cose_key(P384, -36), id="20-ES512"),
        pytest.param(cose_key(SHORT, -37), id="20-PS256"),
        pytest.param(cose_key(SHORT, -65535), id="20-RS1"),
        pytest.param({1: 7, 3: -48, -1: b"\0" * 1312}, id="20-ML-DSA"),
        pytest.param(cose_key(P384, ES256), id="20-ES256-on-another-curve"),
        pytest.param(cose_key(P256, EDDSA), id="20-EdDSA-with-a-key-of-ES256"),
        pytest.param(cose_key(P256, RS256), id="20-RS256-with-a-key-of-ES256"),
        pytest.param(cose_key(SHORT, RS256), id="20-RS256-too-short"),
        pytest.param(cose_key(LONG, RS256), id="20-RS256-too-long"),
        pytest.param({**cose_key(new_key(RS256), RS256), -2: b"\x03"}, id="20-RS256-with-another-exponent"),
        pytest.param(OFF_CURVE, id="20-not-on-the-curve"),
        pytest.param({1: 2, 3: ES256}, id="20-no-point"),
        pytest.param({"kty": 2}, id="20-no-key"),
    ],
)
def test_other_keys_are_refused(api: Api, token: str, cose: dict[int, Any]) -> None:
    refused(api, token, cose=cose)


@pytest.mark.parametrize(
    "attestation",
    [
        *(
            pytest.param(
                {"fmt": fmt, "attStmt": {"sig": b"sig", "alg": ES256, "x5c": [b"certificate"]}}, id=f"22-{fmt}"
            )
            for fmt in ("packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "other")
        ),
        pytest.param({"fmt": None}, id="22-null"),
        pytest.param({"fmt": "none", "attStmt": {"sig": b"sig"}}, id="23-none-with-a-statement"),
        pytest.param({"fmt": "packed", "attStmt": {"sig": b"sig", "alg": ES256}}, id="23-wrong-signature"),
        pytest.param({"fmt": "packed", "attStmt": {"alg": ES256}}, id="23-no-signature"),
    ],
)
def test_attestations_that_were_not_asked_for_are_refused(api: Api, token: str, attestation: dict[str, Any]) -> None:
    refused(api, token, attestation=attestation)


@pytest.mark.parametrize("is_signed_by_itself", [True, False])
def test_step_24_only_a_passkey_attests_itself(api: Api, token: str, is_signed_by_itself: bool) -> None:
    authenticator, options = Authenticator(), creation_options(api, token)
    credential = authenticator.create(options)
    attestation = cbor2.loads(base64url.decode(credential["response"]["attestationObject"]))
    client_data = base64url.decode(credential["response"]["clientDataJSON"])
    signature = authenticator.sign(attestation["authData"] + sha256(client_data).digest())
    certificates = {} if is_signed_by_itself else {"x5c": [certificate(authenticator.key)]}
    statement = {"alg": ES256, "sig": signature, **certificates}
    changed = {**attestation, "fmt": "packed", "attStmt": statement}
    credential["response"]["attestationObject"] = base64url.encode(cbor2.dumps(changed))
    response = send_registration(api, token, options, credential)
    assert response.status_code == (201 if is_signed_by_itself else 401), response.get_json()


def certificate(key: Any) -> bytes:
    """Return a certificate that the library accepts where no roots are given."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authenticator")])
    start = clock.now() - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=2))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_a_key_is_checked_before_anything_is_computed_with_it(
    api: Api, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Mock(side_effect=AssertionError)
    monkeypatch.setattr(passkey_responses, "verify_registration_response", library)
    refused(api, token, cose=cose_key(LONG, RS256))
    assert library.call_count == 0


def test_step_25_an_id_has_at_most_1023_bytes(api: Api, token: str) -> None:
    refused(api, token, Authenticator(credential_id=b"x" * 1024))
    assert register(api, token, Authenticator(credential_id=b"x" * 1023)).status_code == 201


def test_a_public_key_has_at_most_1024_bytes(api: Api, token: str) -> None:
    authenticator = Authenticator()
    key = cose_key(authenticator.key, ES256)
    rest = 1024 - len(cbor2.dumps({**key, 99: bytes(600)})) + 600
    refused(api, token, authenticator, cose={**key, 99: bytes(rest + 1)})
    assert register(api, token, authenticator, cose={**key, 99: bytes(rest)}).status_code == 201
    largest = Authenticator(RS256, key=rsa.generate_private_key(65_537, 4096))
    assert register(api, token, largest).status_code == 201


def test_step_26_a_credential_is_registered_once_over_all_users(app: Flask, api: Api, token: str) -> None:
    authenticator = add_passkey(api, token)
    problem(register(api, token, authenticator), 401, "passkey_invalid")
    other = a_session(app, a_user(app)).access_token
    refused(api, other, authenticator)
    assert len(api.get("/users/me/passkeys", token).get_json()["items"]) == 1


def _another_id(credential: Credential) -> None:
    credential["id"] = credential["rawId"] = base64url.encode(b"another")


def _ids_that_differ(credential: Credential) -> None:
    credential["rawId"] = base64url.encode(b"another")


@pytest.mark.parametrize("change", [_another_id, _ids_that_differ])
def test_an_id_that_the_authenticator_did_not_give_is_refused(
    api: Api, token: str, change: Callable[[Credential], None]
) -> None:
    options = creation_options(api, token)
    credential = Authenticator().create(options)
    change(credential)
    problem(send_registration(api, token, options, credential), 401, "passkey_invalid")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "password"),
        (("id",), 5),
        (("id",), "not base64url"),
        (("response",), "text"),
        (("response", "clientDataJSON"), None),
        (("response", "attestationObject"), None),
        (("response", "attestationObject"), "padded="),
        (("response", "transports"), [5]),
    ],
    ids=str,
)
def test_step_3_what_is_no_answer_of_an_authenticator_is_invalid(
    api: Api, token: str, path: tuple[str, ...], value: object
) -> None:
    options = creation_options(api, token)
    credential = Authenticator().create(options)
    target = credential
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    body = problem(send_registration(api, token, options, credential), 422, "validation_failed")
    assert body["errors"][0]["pointer"] == "#/credential"


def test_members_of_later_editions_are_ignored(api: Api, token: str) -> None:
    options = creation_options(api, token)
    credential = {**Authenticator().create(options), "authenticatorAttachment": "platform", "later": {}}
    credential["response"]["publicKeyAlgorithm"] = ES256
    assert send_registration(api, token, options, credential).status_code == 201


def test_transports_that_are_none_are_dropped(api: Api, token: str) -> None:
    transports = ["usb", "usb", "smart-card", "<script>", "x" * 33, "", "-"]
    assert register(api, token, transports=transports).get_json()["transports"] == ["usb", "smart-card"]


def test_backup_flags_are_stored(api: Api, token: str) -> None:
    assert register(api, token, Authenticator(flags=UP | UV | BE)).get_json()["backed_up"] is False
    assert register(api, token, Authenticator(flags=UP | UV | BE | BS)).get_json()["backed_up"] is True
