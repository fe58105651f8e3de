"""A range API of breached passwords, such as that of Have I Been Pwned: it is asked for the start of a hash.

The answer has the ends of all hashes with that start, so the server learns neither the password nor its hash.
"""

from authapp.domain.http_client import HTTPClient, HTTPFailure, HTTPRequest
from authapp.domain.passwords.breach_source import LINE, PREFIX_LENGTH, SHA1_LENGTH, BreachSourceError

SECONDS = 1.0
"""How long one request may take in total, from the look-up of the server's name to the last byte."""

AT_ONCE = 4
"""How many requests a worker sends at once."""

MAX_BYTES = 256 * 1024
"""The longest answer that is read. Those of Have I Been Pwned have about 60 KiB, and grow with each breach."""

_HEADERS = {"Add-Padding": "true", "Accept": "text/plain"}


class RangeAPI:
    """Asks a server over HTTPS."""

    def __init__(self, address: str) -> None:
        """Take the address to which the first digits of a hash are appended."""
        self._address = address.rstrip("/") + "/"
        self._client = HTTPClient(at_once=AT_ONCE, max_bytes=MAX_BYTES)

    def has_digest(self, digest: bytes) -> bool:
        """Return whether the server knows this hash. Raises ``BreachSourceError``, after ``SECONDS`` at the latest."""
        request = HTTPRequest(self._address + digest[:PREFIX_LENGTH].decode(), headers=_HEADERS)
        try:
            response = self._client.fetch(request, SECONDS)
        except HTTPFailure as failure:
            raise BreachSourceError(str(failure)) from None
        if response.status != 200:
            raise BreachSourceError(f"The server answered {response.status}.")
        return _has(response.body, digest[PREFIX_LENGTH:])

    def check(self) -> None:
        """Do nothing: a request notices all that can be wrong."""


def _has(body: bytes, end: bytes) -> bool:
    """Return whether the response has this end of a hash. Raises ``BreachSourceError`` for what is no range."""
    lines = [LINE.fullmatch(line) for line in body.split()]
    if not lines or any(
        line is None or line[2] is None or len(line[1]) != SHA1_LENGTH - PREFIX_LENGTH for line in lines
    ):
        raise BreachSourceError("The answer is not a range of hashes.")
    return any(line and line[1].upper() == end and int(line[2]) > 0 for line in lines)
