"""What users see of mails in their activity: nothing that is about the address of somebody else."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from authapp.context import OPERATOR
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.transports import RecipientRefused, TemporaryFailure
from authapp.domain.services import Services
from clocks import Time
from factories import PASSWORD, Api, a_session, a_user
from mail_deliveries import FakeTransport, deliver, raising

REFUSED = RecipientRefused("The server refuses the recipient: 550 5.1.1.")


def activity(api: Api, token: str) -> list[tuple[str, dict[str, Any]]]:
    items = api.get("/users/me/activity", token).get_json()["items"]
    return [(each["type"], each["details"]) for each in items]


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("answer", [None, REFUSED, TemporaryFailure("450", may_have_arrived=True)])
def test_who_asks_for_an_address_does_not_see_whether_somebody_has_it(
    app: Flask,
    api: Api,
    delivery: MailDelivery,
    transport: FakeTransport,
    time: Time,
    answer: Exception | None,
    verified: bool,
) -> None:
    if answer:
        transport.on_send = raising(answer)
    a_user(app, "grace")
    seen = {}
    for name, wanted in (("free", "nobody@example.com"), ("taken", "grace@example.com")):
        user = a_user(app, name)
        if verified:
            Services.of(app).email.verifications.mark(name, OPERATOR)
        token = a_session(app, user).access_token
        time.passes(timedelta(seconds=1))
        assert api("PUT", "/users/me/email", token, json={"email": wanted, "password": PASSWORD}).status_code == 202
        time.passes(timedelta(seconds=10))
        deliver(delivery)
        seen[name] = activity(api, token)
    assert seen["free"] == seen["taken"]
    assert len(transport.messages) == 2 * (answer is None), "one with a link, and one to the owner of the address"


def test_users_see_what_became_of_mails_to_their_own_verified_address(
    app: Flask, api: Api, delivery: MailDelivery, transport: FakeTransport, time: Time
) -> None:
    user = a_user(app, "ada")
    Services.of(app).email.verifications.mark("ada", OPERATOR)
    token = a_session(app, user).access_token
    for answer in (lambda _: None, raising(REFUSED)):
        transport.on_send = answer
        assert api.post("/auth/password-resets", {"email": user.email}).status_code == 202
        time.passes(timedelta(seconds=10))
        deliver(delivery)
    failed, *_ = seen = activity(api, token)
    assert failed == ("mail.failed", {"kind": "reset_password", "reason": str(REFUSED)})
    assert ("mail.sent", {"kind": "reset_password"}) in seen
