"""The sender: delivers mails as they come, for as long as its process runs."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from random import uniform
from typing import Any

from authapp.context import RequestContext
from authapp.domain.background import sleep, survive
from authapp.domain.failures import printable
from authapp.domain.mail.delivery import MailDelivery
from authapp.domain.mail.transports import ServerUnavailable

POLL_SECONDS = 1.0
"""How long the sender sleeps when no mail is due. Asking is one look at an index, of a table that is nearly empty."""

MAX_PAUSE_SECONDS = 60.0
"""The longest pause after a failure. It doubles from ``POLL_SECONDS``, so that a server that is down is left alone."""

MAILS_PER_PASS = 100

logger = logging.getLogger(__name__)


class MailSender:
    """Delivers mails until its process stops. It survives whatever a delivery raises."""

    def __init__(self, delivery: MailDelivery, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Take the function that opens an application context."""
        self._delivery, self._app_context = delivery, app_context

    def send_while(self, running: Callable[[], bool], context: RequestContext) -> None:
        """Deliver mails while ``running`` returns true. Events are recorded in ``context``."""
        failures = 0
        while running():
            is_done = survive(partial(self._deliver, running, context), "mails wait")
            failures = 0 if is_done else failures + 1
            pause = min(POLL_SECONDS * 2 ** min(failures, 10), MAX_PAUSE_SECONDS)
            # At random, so that workers that were started together do not ask together.
            sleep(pause * uniform(0.8, 1.2), running)  # noqa: S311 - not a secret

    def _deliver(self, running: Callable[[], bool], context: RequestContext) -> bool:
        """Deliver what is due, and return whether the mail server took mail."""
        try:
            with self._app_context():
                while self._delivery.deliver(context, limit=MAILS_PER_PASS, running=running) and running():
                    pass
        except ServerUnavailable as error:
            logger.error("all mails wait: %s", printable(str(error)))  # noqa: TRY400 - the message says it all
            return False
        return True
