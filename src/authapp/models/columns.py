"""Column types that every table shares."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid
from sqlalchemy.orm import mapped_column

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Key = Annotated[str, mapped_column(Text(collation="C"))]
"""Text compared byte by byte, whatever the database's locale."""

Id = Annotated[UUID, mapped_column(Uuid)]
