"""Looking new passwords up in a list of breached ones (NIST SP 800-63B-4, section 3.1.1.2; ASVS 5.0, 6.2.12).

A list that cannot be asked refuses nobody: otherwise its outage would stop every registration. Each such gap is logged
and recorded, at most once a minute.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from authapp.context import RequestContext
from authapp.database import deadline
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.passwords.breach_file import BreachFile
from authapp.domain.passwords.breach_range import RangeAPI
from authapp.domain.passwords.breach_source import BreachSource, BreachSourceError, sha1_hex

logger = logging.getLogger(__name__)

FAILURES = 3
"""After how many failures in a row the list is left alone."""

PAUSE = 60.0
"""For how many seconds it is left alone; one more failure afterwards is enough for the next pause."""

RECORD_INTERVAL = 60.0
"""The least number of seconds between two events of one process."""


class BreachedPasswords:
    """The list of breached passwords of one application."""

    def __init__(self, source: BreachSource) -> None:
        self.source = source
        self._failures = 0
        self._paused_until = self._record_from = float("-inf")

    def objections(self, password: str, context: RequestContext) -> Iterator[str]:
        """Yield a sentence if the list has ``password``. Call it without a database connection."""
        if time.monotonic() < self._paused_until:
            self._skip("The list has failed several times in a row.", context)
            return
        try:
            with deadline.paused():
                found = self.source.has_digest(sha1_hex(password))
        except BreachSourceError as error:
            self._failures += 1
            if self._failures >= FAILURES:
                self._paused_until = time.monotonic() + PAUSE
            self._skip(str(error), context)
            return
        self._failures = 0
        if found:
            yield "It is in a list of breached passwords."

    def _skip(self, reason: str, context: RequestContext) -> None:
        if (now := time.monotonic()) < self._record_from:
            return
        self._record_from = now + RECORD_INTERVAL
        logger.warning("new passwords are not looked up in the list of breached ones: %s", reason)
        with transaction():
            audit.record(EventType.PASSWORD_CHECK_SKIPPED, context=context, reason=reason)


def breached_passwords(setting: str) -> BreachedPasswords | None:
    """Return the list that ``Settings.breached_passwords`` names, or ``None`` for ``off``."""
    if setting == "off":
        return None
    url = urlsplit(setting)
    return BreachedPasswords(BreachFile(Path(unquote(url.path))) if url.scheme == "file" else RangeAPI(setting))
