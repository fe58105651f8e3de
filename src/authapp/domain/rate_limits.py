"""Limits on what one client address may ask for, counted in PostgreSQL for all workers and nodes together.

The algorithm is GCRA (ITU-T I.371): one time for each address and limit, moved by one statement. A burst of the whole
quota is allowed, and then as much as time brings back.
"""

import math
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import Interval, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.config import RateLimit
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.errors import Quota, TooManyRequests
from authapp.models import AddressLimit


def client_network(address: str | None) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is one household's.

    Without an address (a Unix socket, with no proxy trusted) all share one count.
    """
    try:
        client = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(client, IPv6Address):
        if client.ipv4_mapped is None:
            return str(ip_network((client, 64), strict=False))
        client = client.ipv4_mapped
    return str(client)


class RateLimits:
    """Counts requests by client address."""

    def __init__(self, limit_of: Callable[[str], RateLimit | None], fast_path: FastPath) -> None:
        """Take what returns the limit of a name, and ``None`` for one that is not counted."""
        self._limit_of = limit_of
        self._fast_path = fast_path

    def charge(self, name: str, address: str | None) -> None:
        """Count a request. Raises ``TooManyRequests`` when its address has used the limit up."""
        limit = self._limit_of(name)
        if limit is None:
            return
        now = clock.now()
        interval, window = timedelta(seconds=limit.seconds / limit.amount), timedelta(seconds=limit.seconds)
        network = client_network(address)
        parameters = {"address": network, "limit_name": name, "now": now, "interval": interval}
        if self._fast_path.write(_CHARGE, {**parameters, "horizon": now + window}) is None:
            row = self._fast_path.read(_ARRIVAL, parameters)
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
_CHARGE = PreparedStatement(
    insert(AddressLimit)
    .values(address=bindparam("address"), limit_name=bindparam("limit_name"), arrival_at=_NOW + _INTERVAL)
    .on_conflict_do_update(
        index_elements=[AddressLimit.address, AddressLimit.limit_name],
        set_={"arrival_at": _NEXT},
        where=_NEXT <= _HORIZON,
    )
    .returning(AddressLimit.arrival_at)
)
_ARRIVAL = PreparedStatement(
    select(AddressLimit.arrival_at).where(
        AddressLimit.address == bindparam("address"), AddressLimit.limit_name == bindparam("limit_name")
    )
)
