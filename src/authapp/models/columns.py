"""Column types that the tables share."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid
from sqlalchemy.orm import mapped_column

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Key = Annotated[str, mapped_column(Text(collation="C"))]
"""Text that is compared byte by byte, whatever the locale of the database."""

Id = Annotated[UUID, mapped_column(Uuid)]

# Spaces are listed, since U+2028 and U+2029 are space too: hey-api breaks a pattern that names those.
ONE_LINE_PATTERN = (
    r"^(?:[ \xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff]"
    r"|[^\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])*$"
)
"""One line without control characters, those of bidirectional text (UAX #9) included.

Otherwise a name could forge a line of a list in the terminal, or show what stands beside it in another order.
"""


def matches(pattern: str, text: str) -> bool:
    """Return whether ``text`` is of the ``pattern``, which is anchored by ``^`` and ``$`` as JSON Schema needs it."""
    # Python's "$" would let a newline at the end pass.
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None
