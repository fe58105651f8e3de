"""The settings that each connection asks PostgreSQL for, whatever the server, the role or the environment have.

They are sent as libpq's ``options`` when a connection is opened. A transaction pooler does not pass these on: what it
keeps for each of its clients is set with ``SET`` instead, and the isolation level is set for each transaction that
writes (``TRANSACTION_ISOLATION``, ``BEGIN_WRITE``).
"""

from collections.abc import Mapping
from types import MappingProxyType

from psycopg2.extensions import connection

SERVER_SHARE = 0.8
"""The share of the client's timeout after which PostgreSQL cancels a statement.

PostgreSQL cancels first, because the connection stays usable when the server answers with an error.
"""

CLIENT_ENCODING = "UTF8"

TRANSACTION_ISOLATION = "READ COMMITTED"
"""A refresh that waits for another one must then see what the other one wrote, and not be refused (SQLSTATE 40001)."""

BEGIN_WRITE = f"SET TRANSACTION ISOLATION LEVEL {TRANSACTION_ISOLATION}; "
"""Before a statement that writes by itself, in the same round trip: both are then one transaction."""

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "default_transaction_isolation": TRANSACTION_ISOLATION.lower(),
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "standard_conforming_strings": "on",
        "bytea_output": "hex",
    }
)
"""The settings that the code relies on. The address of the database cannot change these."""

_KEPT_BY_POOLERS = {
    "TimeZone": "timezone",
    "DateStyle": "datestyle",
    "IntervalStyle": "intervalstyle",
    "standard_conforming_strings": "standard_conforming_strings",
}
"""By the name under which the server reports each to its clients."""


def limits(timeout: float) -> dict[str, str]:
    """Return the server's time limits where a client waits ``timeout`` seconds for each answer.

    The address of the database may set others.
    """
    server_ms = max(1, int(timeout * SERVER_SHARE * 1000))
    return {
        "statement_timeout": str(server_ms),
        "lock_timeout": str(server_ms),
        "idle_in_transaction_session_timeout": "60000",
    }


def options(timeout: float, operator_options: str = "") -> str:
    """Return libpq's ``options``: our limits, then ``operator_options``, then the settings that the code relies on.

    Of two values for one setting, PostgreSQL takes the later.
    """
    return " ".join(filter(None, (_as_options(limits(timeout)), operator_options, _as_options(PINNED))))


def _as_options(settings: Mapping[str, str]) -> str:
    return " ".join("-c {}={}".format(name, value.replace(" ", r"\ ")) for name, value in settings.items())


def ensure(opened: connection) -> None:
    """Set each setting that the server reports with another value than ours: a pooler did not pass our ``options`` on.

    Raises ``psycopg2.Error``.
    """
    found = {name: opened.info.parameter_status(reported) for reported, name in _KEPT_BY_POOLERS.items()}
    wrong = [name for name, value in found.items() if value != PINNED[name]]
    if not wrong:
        return
    opened.autocommit = True  # a SET that is rolled back would be undone
    with opened.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = '{PINNED[name]}'" for name in wrong))
    opened.autocommit = False
