"""Rate limits by client address, by mailbox and by API key, counted in PostgreSQL for all workers and nodes together.

The algorithm is GCRA (ITU-T I.371). It stores one timestamp per key and limit, and updates it in one statement. A
burst of the whole quota is allowed; after that, requests are allowed at the average rate.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Interval, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from authapp import clock
from authapp.config import RateLimit
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.domain.ip_addresses import client_network
from authapp.domain.pruning import Prunable, prunables
from authapp.errors import Quota, TooManyRequests
from authapp.models import RateLimitCounter

prunables.register("address_limits", Prunable("limits", RateLimitCounter.arrival_at))


class RateLimits:
    """Counts requests by client address, or by another key; ``domain/mail/counted_mails.py`` does by mailbox."""

    def __init__(self, limit_of: Callable[[str], RateLimit | None], fast_path: FastPath) -> None:
        """Take a function that returns the limit for a name, or ``None`` for no limit."""
        self._limit_of = limit_of
        self._fast_path = fast_path

    def charge(self, name: str, address: str | None) -> None:
        """Count a request. Raises ``TooManyRequests`` if its address has used up the limit ``name``."""
        self._charge(name, client_network(address), "There were too many requests from this address.")

    def charge_key(self, name: str, key: str) -> None:
        """Do the same for something else than an address, such as an API key. ``key`` must not be an address."""
        self._charge(name, key, "There were too many requests.")

    def _charge(self, name: str, key: str, sentence: str) -> None:
        limit = self._limit_of(name)
        if limit is None:
            return
        parameters = charge_params(key, name, limit)
        if self._fast_path.write(_CHARGE, parameters) is None:
            row = self._fast_path.read(_ARRIVAL, parameters)
            wait = (row.arrival_at + parameters["interval"] - parameters["horizon"]).total_seconds() if row else 0
            quota = Quota(name=name, amount=limit.amount, seconds=limit.seconds)
            raise TooManyRequests(sentence, retry_after=max(1, math.ceil(wait)), quota=quota)


def charge_params(counted_key: str, name: str, limit: RateLimit) -> dict[str, Any]:
    """Return the values of the bind parameters of ``charge_statement``, to count one request of ``counted_key``."""
    now = clock.now()
    interval, window = timedelta(seconds=limit.seconds / limit.amount), timedelta(seconds=limit.seconds)
    return {"counted_key": counted_key, "limit_name": name, "now": now, "interval": interval, "horizon": now + window}


def charge_statement() -> ReturningInsert[datetime]:
    """Return the statement that counts a request. It returns a row unless the limit is used up."""
    now, interval, horizon = (
        bindparam("now", type_=RateLimitCounter.arrival_at.type),
        bindparam("interval", type_=Interval),
        bindparam("horizon", type_=RateLimitCounter.arrival_at.type),
    )
    following = func.greatest(RateLimitCounter.arrival_at, now) + interval
    return (
        insert(RateLimitCounter)
        .values(counted_key=bindparam("counted_key"), limit_name=bindparam("limit_name"), arrival_at=now + interval)
        .on_conflict_do_update(
            index_elements=[RateLimitCounter.counted_key, RateLimitCounter.limit_name],
            set_={"arrival_at": following},
            where=following <= horizon,
        )
        .returning(RateLimitCounter.arrival_at)
    )


_CHARGE = PreparedStatement(charge_statement())
_ARRIVAL = PreparedStatement(
    select(RateLimitCounter.arrival_at).where(
        RateLimitCounter.counted_key == bindparam("counted_key"), RateLimitCounter.limit_name == bindparam("limit_name")
    )
)
