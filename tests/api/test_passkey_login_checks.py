"""WebAuthn Level 3, section 7.2: each check of an assertion, broken alone. A name has the number of its step."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import cbor2
import pytest
from flask import Flask

from authapp.database.session import transaction
from authapp.domain import hooks
from authapp.domain.factors.kinds import FactorAttempt
from authapp.domain.factors.passkey_challenges import ChallengePurpose
from authapp.domain.services import Services
from authapp.models import User
from authapp.security import base64url
from authenticator import (
    BE,
    BS,
    ED,
    EDDSA,
    ORIGIN,
    OTHER_ORIGINS,
    RP_ID,
    RS256,
    UP,
    UV,
    Authenticator,
    add_passkey,
    creation_options,
    log_in,
    not_canonical,
    request_options,
    send_login,
)
from cbor_bombs import BOMB_IN_A_LONG_KEY, BOMBS, data_with, unparsed
from clocks import Time
from factories import GUEST, Api, a_session, a_user, events_of, problem

SYNCED = UP | UV | BE


@pytest.fixture
def authenticator(api: Api, token: str) -> Authenticator:
    return add_passkey(api, token)


def refused(api: Api, authenticator: Authenticator, **changes: Any) -> None:
    """Check that a change is refused, and that it was the change: without it, the passkey is accepted."""
    problem(log_in(api, authenticator, **changes), 401, "passkey_invalid")


@pytest.fixture(autouse=True)
def _honest_after_all(api: Api, authenticator: Authenticator) -> Any:
    """Log in with the same passkey when the test is over: what was refused has changed nothing."""
    flags = authenticator.flags
    yield
    authenticator.flags, authenticator.sign_count = flags, authenticator.sign_count + 1_000
    assert log_in(api, authenticator).status_code == 200


@pytest.mark.parametrize("handle", [None, "AA", base64url.encode(UUID(int=7).bytes)])
def test_step_6_the_passkey_must_say_whose_it_is(api: Api, authenticator: Authenticator, handle: str | None) -> None:
    refused(api, authenticator, userHandle=handle)


def test_step_6_the_handle_of_another_user_is_refused(app: Flask, api: Api, authenticator: Authenticator) -> None:
    other = a_user(app)
    refused(api, authenticator, userHandle=base64url.encode(other.id.bytes))
    add_passkey(api, a_session(app, other).access_token)
    refused(api, authenticator, userHandle=base64url.encode(other.id.bytes))


def test_step_6_an_unknown_credential_is_refused(api: Api, authenticator: Authenticator) -> None:
    refused(api, Authenticator(user_handle=authenticator.user_handle))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfe{}", id="8-not-utf-8"),
        pytest.param(b"no json", id="9-not-json"),
        pytest.param(b"[]", id="9-not-an-object"),
        pytest.param(b'{"type":"webauthn.get","type":"webauthn.get"}', id="9-twice"),
        pytest.param(b'{"type":"webauthn.get"}', id="11-no-challenge"),
    ],
)
def test_client_data_that_cannot_be_read_is_refused(api: Api, authenticator: Authenticator, data: bytes) -> None:
    refused(api, authenticator, clientDataJSON=base64url.encode(data))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"type": "webauthn.create"}, id="10-create"),
        pytest.param({"type": "payment.get"}, id="10-payment"),
        pytest.param({"type": None}, id="10-none"),
        pytest.param({"challenge": base64url.encode(b"challenge")}, id="11-another"),
        pytest.param({"crossOrigin": True}, id="13-cross-origin"),
        pytest.param({"crossOrigin": "true"}, id="13-text"),
        pytest.param({"topOrigin": ORIGIN}, id="14-top-origin"),
    ],
)
def test_client_data_of_something_else_is_refused(
    api: Api, authenticator: Authenticator, changes: dict[str, Any]
) -> None:
    refused(api, authenticator, client_data=changes)


@pytest.mark.parametrize("purpose", [ChallengePurpose.REGISTER, ChallengePurpose.SECOND_FACTOR])
def test_step_11_a_challenge_for_something_else_is_refused(
    app: Flask, api: Api, token: str, authenticator: Authenticator, purpose: ChallengePurpose
) -> None:
    options = request_options(api)
    with app.app_context():
        assertions, user_id = Services.of(app).factors.passkey_assertions, UUID(bytes=authenticator.user_handle)
        other = assertions.second_factor_options(user_id, b"") if "second" in purpose else creation_options(api, token)
    options["challenge"] = options["challenge_id"] = other["challenge"]
    problem(send_login(api, options, authenticator.get(options)), 401, "passkey_invalid")


def test_step_11_the_challenge_that_is_named_must_be_the_one_that_was_signed(
    api: Api, authenticator: Authenticator
) -> None:
    options, other = request_options(api), request_options(api)
    problem(send_login(api, other, authenticator.get(options)), 401, "passkey_invalid")


def test_step_11_a_challenge_is_good_for_one_login(api: Api, authenticator: Authenticator) -> None:
    options = request_options(api)
    assert send_login(api, options, authenticator.get(options)).status_code == 200
    problem(send_login(api, options, authenticator.get(options)), 401, "passkey_invalid")


def test_step_11_a_challenge_expires_after_five_minutes(api: Api, authenticator: Authenticator, time: Time) -> None:
    options = request_options(api)
    time.passes(minutes=5)
    problem(send_login(api, options, authenticator.get(options)), 401, "passkey_invalid")


@pytest.mark.parametrize("origin", OTHER_ORIGINS, ids=str)
def test_step_12_only_the_exact_origins_pass(api: Api, authenticator: Authenticator, origin: Any) -> None:
    refused(api, authenticator, client_data={"origin": origin})


@pytest.mark.parametrize("rp_id", ["app.example.com", "other.example"])
def test_step_15_the_hash_of_another_domain_is_refused(api: Api, authenticator: Authenticator, rp_id: str) -> None:
    refused(api, authenticator, rp_id=rp_id)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(UV, id="16-not-present"),
        pytest.param(UP, id="17-not-verified"),
        pytest.param(UP | UV | BS, id="18-backed-up-and-not-eligible"),
        pytest.param(UP | UV | BE, id="19-eligible-now"),
        pytest.param(UP | UV | BE | BS, id="19-eligible-and-backed-up-now"),
    ],
)
def test_wrong_flags_are_refused(api: Api, authenticator: Authenticator, flags: int) -> None:
    authenticator.flags = flags
    refused(api, authenticator)


def test_step_19_a_passkey_that_was_synced_stays_so(api: Api, token: str) -> None:
    synced = add_passkey(api, token, Authenticator(flags=SYNCED | BS))
    synced.flags = UP | UV
    refused(api, synced)


def _flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_flipped, id="flipped"),
        pytest.param(lambda _signature: b"\0", id="zero"),
        pytest.param(lambda signature: signature + b"\0", id="longer"),
    ],
)
@pytest.mark.parametrize("algorithm", [EDDSA, RS256])
def test_step_21_a_changed_signature_is_refused(
    api: Api, token: str, change: Callable[[bytes], bytes], algorithm: int
) -> None:
    signer = add_passkey(api, token, Authenticator(algorithm))
    options = request_options(api)
    credential = signer.get(options)
    credential["response"]["signature"] = base64url.encode(
        change(base64url.decode(credential["response"]["signature"]))
    )
    problem(send_login(api, options, credential), 401, "passkey_invalid")


def test_step_21_the_signature_of_another_key_is_refused(api: Api, authenticator: Authenticator) -> None:
    thief = Authenticator(credential_id=authenticator.credential_id, user_handle=authenticator.user_handle)
    refused(api, thief)


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData"])
def test_step_21_the_signature_is_over_all_data(api: Api, authenticator: Authenticator, name: str) -> None:
    options = request_options(api)
    first, second = authenticator.get(options), authenticator.get(options, client_data={"other": True})
    first["response"][name] = second["response"][name]
    problem(send_login(api, options, first), 401, "passkey_invalid")


@pytest.mark.parametrize("step", [0, -3])
def test_step_22_a_copy_of_a_passkey_of_one_device_is_refused_and_recorded(
    app: Flask, api: Api, user: User, authenticator: Authenticator, step: int
) -> None:
    authenticator.sign_count = 41
    assert log_in(api, authenticator).status_code == 200
    reversed_counters = []

    def receive(_app: object, **details: Any) -> None:
        reversed_counters.append((details["user_id"], details["event"], details["details"]["refused"]))

    with hooks.factors_changing.connected_to(receive, sender=app):
        authenticator.step = step
        refused(api, authenticator)
    assert reversed_counters == [(user.id, "passkey.counter_reversed", True)]
    (event,) = events_of(app, user, "passkey.counter_reversed")
    assert event.details.keys() == {"passkey_id", "name", "refused"}
    assert event.details["refused"] is True


def test_step_22_a_synced_passkey_counts_on_each_device_by_itself(app: Flask, api: Api, user: User, token: str) -> None:
    synced = add_passkey(api, token, Authenticator(flags=SYNCED))
    for counter in (41, 3, 3, 4, 42):
        synced.sign_count = counter - 1
        assert log_in(api, synced).status_code == 200
    assert [each.details["refused"] for each in events_of(app, user, "passkey.counter_reversed")] == [False] * 3


@pytest.mark.parametrize("change", [{"rawId": "AA"}, {"id": "AA"}, {"id": "AA", "rawId": "AA"}], ids=str)
def test_ids_that_differ_are_refused(api: Api, authenticator: Authenticator, change: dict[str, str]) -> None:
    options = request_options(api)
    problem(send_login(api, options, {**authenticator.get(options), **change}), 401, "passkey_invalid")


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 36, b"\0" * 37, b"\0" * 200, b"\xff" * 200], ids=["none", "36", "zeros", "long", "ones"]
)
def test_authenticator_data_that_cannot_be_read_are_refused(
    api: Api, authenticator: Authenticator, data: bytes
) -> None:
    options = request_options(api)
    credential = authenticator.get(options, authenticatorData=base64url.encode(data) or "AA")
    problem(send_login(api, options, credential), 401, "passkey_invalid")


@pytest.mark.parametrize("as_key", [False, True], ids=["extension", "key"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_cbor_that_an_authenticator_does_not_write_is_not_parsed(
    api: Api, authenticator: Authenticator, bomb: bytes, as_key: bool
) -> None:
    data = base64url.encode(data_with(bomb, RP_ID, as_key=as_key))
    with unparsed():
        refused(api, authenticator, authenticatorData=data)


def test_a_key_in_a_longer_form_is_not_parsed(api: Api, authenticator: Authenticator) -> None:
    data = base64url.encode(data_with(BOMB_IN_A_LONG_KEY, RP_ID, as_key=True))
    with unparsed():
        refused(api, authenticator, authenticatorData=data)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_data": {"other": "x" * 4096}}, id="clientDataJSON"),
        pytest.param(
            {"authenticatorData": base64url.encode(data_with(cbor2.dumps({"x": bytes(2048)}), RP_ID))},
            id="authenticatorData",
        ),
        pytest.param({"signature": base64url.encode(bytes(1025))}, id="signature"),
    ],
)
def test_what_is_longer_than_any_authenticator_writes_is_not_parsed(
    api: Api, authenticator: Authenticator, changes: dict[str, Any]
) -> None:
    authenticator.flags |= ED
    with unparsed():
        refused(api, authenticator, **changes)


def test_an_extension_is_accepted(api: Api, authenticator: Authenticator) -> None:
    authenticator.flags |= ED
    assert log_in(api, authenticator).status_code == 200


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
def test_encodings_that_are_not_canonical_are_refused(api: Api, token: str, name: str) -> None:
    signer = add_passkey(api, token, Authenticator(EDDSA))  # whose signatures have 64 bytes
    options = request_options(api)
    answers = (signer.get(options, client_data={"other": "x" * length}) for length in range(3))
    credential = next(each for each in answers if len(each["response"][name]) % 4)
    credential["response"][name] = not_canonical(credential["response"][name])
    problem(send_login(api, options, credential), 401, "passkey_invalid")


def test_step_5_a_second_factor_is_bound_to_its_login_and_to_the_user(
    app: Flask, api: Api, user: User, authenticator: Authenticator
) -> None:
    other = a_user(app)
    theirs = add_passkey(api, a_session(app, other).access_token)
    assertions = Services.of(app).factors.passkey_assertions

    def prove(signer: Authenticator, *, signed_for: bytes = b"login", sent_with: bytes = b"login") -> tuple[str, ...]:
        with app.app_context(), transaction():
            options = assertions.second_factor_options(user.id, signed_for)
            answer = signer.get(options, userHandle=None)
            return assertions.prove(FactorAttempt(user.id, answer, sent_with), GUEST)

    assert prove(authenticator) == ("hwk", "user", "mfa")
    assert prove(authenticator, sent_with=b"another") == ()
    assert prove(theirs) == ()
    authenticator.flags = UP
    assert prove(authenticator) == ("hwk",)
    authenticator.flags = UV
    assert prove(authenticator) == ()
    authenticator.flags = UP | UV
    with app.app_context():
        options = assertions.second_factor_options(user.id, b"login")
    assert [each["id"] for each in options["allowCredentials"]] == [base64url.encode(authenticator.credential_id)]
    assert options["userVerification"] == "preferred"
