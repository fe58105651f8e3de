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


def matches(pattern: str, text: str) -> bool:
    """Return whether ``text`` is of the ``pattern``, which is anchored by ``^`` and ``$`` as JSON Schema needs it."""
    # Python's "$" would let a newline at the end pass.
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None
