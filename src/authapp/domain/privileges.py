"""The privileges that the roles of PostgreSQL need, table by table, and which of them the current role lacks.

``deploy/docker/grants.sql`` and ``docs/operations.md`` grant the same; a test compares them.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sqlalchemy import ARRAY, String, bindparam, text

from authapp.database.migrations import PACKAGE
from authapp.database.session import read_one
from authapp.models import TABLES, AuditEvent, User

Privileges = Mapping[str, tuple[str, ...]]
"""The privileges on each table, by its name."""

_EVENTS, _EVERYTHING = AuditEvent.__tablename__, ("SELECT", "INSERT", "UPDATE", "DELETE")

SERVING: Privileges = MappingProxyType(
    dict.fromkeys(TABLES, _EVERYTHING) | {_EVENTS: ("SELECT", "INSERT"), PACKAGE.version_table: ("SELECT",)}
)
"""What the role that serves needs. It cannot change the audit trail."""

AUDIT_PRUNING: Privileges = MappingProxyType(
    {_EVENTS: _EVERYTHING, User.__tablename__: ("SELECT",), PACKAGE.version_table: ("SELECT",)}
)
"""What the role that runs ``flask audit prune`` needs."""

# A table that is not there needs a migration, not a grant. Without USAGE on its schema, a table seems not to be there.
_MISSING = text(
    """
    SELECT array_agg(privilege) AS missing FROM (
        SELECT privilege || ' on ' || name FROM unnest(:names, :privileges) AS needed(name, privilege)
        WHERE NOT has_table_privilege(to_regclass(name), privilege)
        UNION ALL
        SELECT 'USAGE on schema ' || nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = :version_table AND to_regclass(:version_table) IS NULL
        AND NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
    ) AS lacking(privilege)
    """
).bindparams(
    bindparam("names", type_=ARRAY(String)),
    bindparam("privileges", type_=ARRAY(String)),
    bindparam("version_table", PACKAGE.version_table),
)


def missing_privileges(version_tables: Iterable[str] = ()) -> list[str]:
    """Return what the current role lacks to serve, such as ``INSERT on audit_events``.

    ``version_tables`` are those in which migrations keep their revision. Raises ``sqlalchemy.exc.SQLAlchemyError``.
    """
    needed = {**SERVING, **dict.fromkeys(version_tables, ("SELECT",))}
    pairs = [(name, privilege) for name, privileges in sorted(needed.items()) for privilege in privileges]
    parameters = {"names": [name for name, _ in pairs], "privileges": [privilege for _, privilege in pairs]}
    row = read_one(_MISSING, parameters)
    return list((row and row.missing) or ())
