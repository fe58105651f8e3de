"""What is said of a refusal names no recipient, in whatever words the server does."""

from dataclasses import replace

import pytest

from authapp.domain.mail.smtp import SMTPTransport
from authapp.domain.mail.transports import RecipientRefused
from mail_servers import Mailbox, mail_host
from rendered_mails import messages

ADA = "ada@example.com"


@pytest.mark.parametrize("reply", ["User ada unknown", "<Ada>: no such user", "ada@mail.example.com: no, 'ada'."])
@pytest.mark.parametrize("at_data", [False, True])
def test_no_failure_names_the_recipient(reply: str, at_data: bool) -> None:
    box, answer = Mailbox(), f"550 5.1.1 {reply}"
    if at_data:
        box.data_answer = lambda _: answer
    else:
        box.recipient_answer = lambda _: answer
    with mail_host(None, box) as host:
        transport = SMTPTransport(replace(host.server, username=""), "no-reply@example.com", 10)
        with pytest.raises(RecipientRefused, match=r"550 5\.1\.1 .*<address>") as error:
            transport.send(messages().build_test(ADA), ADA)
        transport.close()
    assert "ada" not in str(error.value).lower()
