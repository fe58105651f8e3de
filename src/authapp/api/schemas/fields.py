"""Fields shared by the schemas."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import fields, validate

from authapp import clock

ACCESS_JWT = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.claims.signature"
REFRESH_JWT = "eyJhbGciOiJFZERTQSIsInR5cCI6InJ0K2p3dCJ9.claims.signature"
RECOVERY_CODES = ["7Q4N-2ZKD-X9F3-A0VB-5MTC-JR8H", "D1PW-6YSE-K4G2-Z7XQ-N0CM-V3TB"]
IP_ADDRESS = "192.0.2.1"
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
"""For the examples of the OpenAPI document."""

NO_NUL = {"pattern": r"^[^\x00]*$"}
"""The OpenAPI pattern of every string: bodies with a NUL character are refused, because PostgreSQL cannot store it."""


class Timestamp(fields.DateTime):
    """A time in RFC 3339 format, in UTC with a ``Z`` at the end, with milliseconds."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return clock.rfc3339(value)


class AwareTimestamp(fields.AwareDateTime):
    """A time in RFC 3339 format. The offset from UTC is required; the time is converted to UTC when it is loaded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        time: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            # In UTC, because PostgreSQL refuses offsets of 16 hours or more, which Python accepts.
            return time.astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None


def code_field(*, required: bool = False, **metadata: Any) -> fields.String:
    """Return the field of a code that somebody types. The longest one that is made has 29 characters."""
    rules = {**NO_NUL, "writeOnly": True, **metadata}
    return fields.String(required=required, validate=validate.Length(max=64), metadata=rules)
