"""Cursors: the position where a page of a list ended, signed so that clients cannot forge one."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from authapp.security.derived_keys import derived_keys
from authapp.security.keys import KeyRing

MAX_LENGTH = 1024
"""No cursor made here is longer than this many characters; ``PageQuerySchema`` refuses longer ones unread."""


class Cursors:
    """Writes and reads cursors. The keys are derived from the key ring, so all workers and nodes share them."""

    def __init__(self, keys: KeyRing) -> None:
        # itsdangerous signs with the last secret, so the order is reversed: the ring's first key signs. The older keys
        # still verify, so cursors stay valid when keys are rotated.
        self._secrets = derived_keys(keys, "cursors")[::-1]

    def write(self, list_name: str, filters: Mapping[str, Any], position: list[str]) -> str:
        """Return the cursor for ``position``. It is valid only for the list ``list_name`` with the same ``filters``."""
        return str(self._serializer(list_name, filters).dumps(position))

    def read(self, list_name: str, filters: Mapping[str, Any], cursor: str) -> list[str]:
        """Return the position in ``cursor``. Raises ``ValueError`` unless it was written for this list."""
        try:
            position: list[str] = self._serializer(list_name, filters).loads(cursor)
        except BadData:
            raise ValueError("It is not a cursor of this list.") from None
        return position

    def _serializer(self, list_name: str, filters: Mapping[str, Any]) -> URLSafeSerializer:
        bound = sha256(json.dumps(dict(filters), sort_keys=True, default=str).encode()).hexdigest()
        options = {"key_derivation": "hmac", "digest_method": sha256}
        return URLSafeSerializer(self._secrets, salt=f"authapp.cursor.{list_name}.{bound}", signer_kwargs=options)
