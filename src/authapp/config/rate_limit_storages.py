"""The kinds of storage in which the general rate limit can count, and the timeouts of their clients."""

from typing import Any

_SOCKET = {"socket_connect_timeout": 1, "socket_timeout": 1}
_UNIX_SOCKET = {"socket_timeout": 1}
# The connections to the sentinels take no options of the others. Their client of Redis tries ten times by default.
_SENTINEL = {**_SOCKET, "sentinel_kwargs": {**_SOCKET, "retry": None}}
_TIMEOUTS: dict[str, dict[str, Any]] = {
    "memory": {},
    **dict.fromkeys(("redis", "rediss", "redis+cluster", "valkey", "valkeys", "valkey+cluster"), _SOCKET),
    **dict.fromkeys(("redis+unix", "valkey+unix"), _UNIX_SOCKET),
    **dict.fromkeys(("redis+sentinel", "valkey+sentinel"), _SENTINEL),
    "memcached": {"connect_timeout": 1, "timeout": 1},
    "mongodb": {"serverSelectionTimeoutMS": 1000, "connectTimeoutMS": 1000, "socketTimeoutMS": 1000},
}


def client_timeouts(address: str) -> dict[str, Any]:
    """Return the options that let the client of a storage wait for a second.

    The clients wait without end by default, or half a minute, so that a storage that hangs would hold every request.

    Raises ``ValueError`` with the end of a sentence about the address, if its timeouts are not known.
    """
    kind, separator, _ = address.partition("://")
    if not separator or kind not in _TIMEOUTS:
        raise ValueError("must be an address such as memory:// or redis://host:6379.")
    return _TIMEOUTS[kind]
