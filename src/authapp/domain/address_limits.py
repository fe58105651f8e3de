"""Limits on what one client address may ask for, counted in PostgreSQL for all workers and nodes together.

The algorithm is GCRA (ITU-T I.371): one time for each address and limit, moved by one statement. A burst of the whole
quota is allowed, and then as much as time brings back.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import Interval, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.config import RateLimit
from authapp.database.prepared import Prepared
from authapp.errors import Quota, TooManyRequests
from authapp.extensions import db
from authapp.models import AddressLimit


class LimitName(StrEnum):
    """What is limited by address."""

    LOGIN = "login"
    REGISTER = "register"
    REFRESH = "refresh"
    PASSWORD = "password"  # noqa: S105 - a word, not a secret


def client_network(address: str | None) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is one household's.

    Without an address (a Unix socket, with no proxy trusted) all share one count.
    """
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


class AddressLimits:
    """Counts requests by client address."""

    def __init__(self, limits: Mapping[str, RateLimit | None]) -> None:
        """Take the limit of each name; one that is nothing is not counted."""
        self._limits = limits

    def charge(self, name: LimitName, address: str | None) -> None:
        """Count a request. Raises ``TooManyRequests`` when its address has used the limit up."""
        limit = self._limits[name]
        if limit is None:
            return
        now = clock.now()
        interval, window = timedelta(seconds=limit.seconds / limit.amount), timedelta(seconds=limit.seconds)
        key = {"address": client_network(address), "limit_name": str(name)}
        if db.write_one(_CHARGE, {**key, "now": now, "interval": interval, "horizon": now + window}) is None:
            row = db.read_one(_ARRIVAL, key)
            wait = (row.arrival_at + interval - window - now).total_seconds() if row else 0
            quota = Quota(name=name, amount=limit.amount, seconds=limit.seconds)
            raise TooManyRequests(
                "There were too many requests from this address.", retry_after=max(1, math.ceil(wait)), quota=quota
            )


_NOW, _INTERVAL, _HORIZON = (
    bindparam("now", type_=AddressLimit.arrival_at.type),
    bindparam("interval", type_=Interval),
    bindparam("horizon", type_=AddressLimit.arrival_at.type),
)
_NEXT = func.greatest(AddressLimit.arrival_at, _NOW) + _INTERVAL
_CHARGE = Prepared(
    insert(AddressLimit)
    .values(address=bindparam("address"), limit_name=bindparam("limit_name"), arrival_at=_NOW + _INTERVAL)
    .on_conflict_do_update(
        index_elements=[AddressLimit.address, AddressLimit.limit_name],
        set_={"arrival_at": _NEXT},
        where=_NEXT <= _HORIZON,
    )
    .returning(AddressLimit.arrival_at)
)
_ARRIVAL = Prepared(
    select(AddressLimit.arrival_at).where(
        AddressLimit.address == bindparam("address"), AddressLimit.limit_name == bindparam("limit_name")
    )
)
