"""Fields that the schemas share."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import fields

from authapp import clock

NO_NUL = {"pattern": r"^[^\u0000]*$"}
"""What every string is: PostgreSQL cannot store a NUL, and no body that holds one is read."""


class Timestamp(fields.DateTime):
    """A time in RFC 3339, in UTC with a ``Z`` at the end, to the millisecond."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return clock.rfc3339(value)


class AwareTimestamp(fields.AwareDateTime):
    """A time in RFC 3339, with the offset from UTC that it needs to mean anything; loaded in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        time: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            # PostgreSQL refuses offsets of 16 hours and more, which Python knows.
            return time.astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None
