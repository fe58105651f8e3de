"""Why the database cannot be used, in words for the operator that quote no secret.

libpq reports why a connection failed as text alone, without a SQLSTATE, and quotes parts of the address, which may be
parts of a password that is not escaped. So its messages are recognised, and never shown.
"""

import re

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authapp.database.errors import is_outage, sqlstate

_BY_SQLSTATE = {
    "08": "the connection was lost",
    "25006": "it is read-only: a standby, or in the middle of a failover",
    "3F000": "no schema of the search_path exists: make it with CREATE SCHEMA",
    "40": "two transactions stood in each other's way: try again",
    "53300": "every connection that the server allows is in use",
    "53": "the server has no memory or no disk left",
    "55": "a lock was not free in time",
    "57014": "a statement took too long",
    "57": "it is starting or stopping",
}
"""By SQLSTATE, or the class that it begins with; the longest counts."""

_QUOTED = {
    "42501": (
        "the role in DATABASE_URL may not do this: {}. "
        "Migrate as the role that owns the tables, and grant the others what docs/operations.md lists"
    ),
    "42703": "{}: run `flask db upgrade`. If there is nothing to upgrade, the statement is wrong",
    "42P01": "{}: run `flask db upgrade`. If there is nothing to upgrade, the statement is wrong",
    "42P07": "{}, and these migrations have not made it: use a database or a schema of its own",
}
"""The same, with PostgreSQL's own words, which name a table or a column."""

_BY_MESSAGE = {
    "password authentication failed|SASL authentication failed|auth failed|no such user": (
        "the password is wrong, or there is no such role"
    ),
    "no password supplied|password is required": "the server asks for a password, and DATABASE_URL has none",
    'role "" does not exist': "there is no such role",
    "not permitted to log in": "the role may not log in",
    'database "" does not exist|no such database': "there is no database of that name",
    "permission denied for database": "the role may not connect to this database: GRANT CONNECT",
    "requires a valid client certificate|certificate authentication failed|certificate required": (
        "the server asks for a client certificate: set sslcert and sslkey"
    ),
    "pg_hba.conf": "pg_hba.conf of the server does not let this role in, from this address, with or without TLS",
    "root certificate file": "there is no root certificate to check the server with: set sslrootcert",
    "certificate verify failed": "the server's certificate is not signed by what sslrootcert names",
    "does not match host name": "the server's certificate is for another host name",
    "(?<!root )certificate file|private key": "the file that sslcert or sslkey names cannot be used",
    "does not support SSL": "the server has no TLS, and sslmode requires it",
    r"invalid connection option|invalid dsn|invalid \S+ value|invalid port|definition of service": (
        "DATABASE_URL has an option that libpq does not know, or a value that it cannot use"
    ),
    "unsupported startup parameter": "the pooler refuses a startup parameter: docs/operations.md has its settings",
    "configuration parameter|for parameter|to set parameter|cannot be changed|argument for server process": (
        "`options` asks for a setting that the server does not know, or does not allow"
    ),
    "could not translate host name": "its host name cannot be looked up",
    "Connection refused|No such file or directory": "nothing listens at its address",
    "connection slots|too many connections|too many clients": _BY_SQLSTATE["53300"],
    "starting up|shutting down|recovery mode|not accepting connections": _BY_SQLSTATE["57"],
    "standby|session is read-only": "only a standby answers, and authapp needs the primary",
    "in time|timeout|timed out|No route to host|unreachable": "it does not answer in time",
    "closed the connection|reset by peer|terminating connection|connection already closed": _BY_SQLSTATE["08"],
}
"""By a regular expression that is looked for in the message, without what is quoted there."""

_UNKNOWN = "the connection failed; the server's log may say why"


def reason(error: SQLAlchemyError) -> str | None:
    """Return why the database cannot be used, as the end of a sentence; ``None`` if the error is a bug."""
    if isinstance(error, PoolTimeout):
        return "every connection of this process is in use"
    code = sqlstate(error)
    if code in _QUOTED and isinstance(error, DBAPIError):
        message = error.orig.diag.message_primary  # type: ignore[union-attr]  # psycopg2's error, since it has a code
        return _QUOTED[code].format(" ".join(str(message).split()))
    if code:
        found = [sentence for state, sentence in _BY_SQLSTATE.items() if code.startswith(state)]
        return max(found, key=len) if found else None
    return _of_connection(error) if is_outage(error) else None


def _of_connection(error: SQLAlchemyError) -> str:
    message = re.sub('"[^"]*"', '""', str(getattr(error, "orig", "")))
    found = [sentence for pattern, sentence in _BY_MESSAGE.items() if re.search(pattern, message)]
    # Of several servers, each may have had a reason of its own.
    return "; ".join(dict.fromkeys(found)) or _UNKNOWN
