"""Keys of names: in lower case, where they were case-folded, so that ``groß@`` and ``gross@`` are two addresses.

It adds and removes nothing. A key is written anew only where the two rules differ, which is never the case for names in
ASCII. Until the last node of the version before has stopped, an account whose address has such a letter logs in there
by its username.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable

import idna
import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SHOWN = 20
MAY_DIFFER = """
    FROM users WHERE username_key <> lower(username COLLATE "C") OR octet_length(username) <> char_length(username)
    OR email_key <> lower(email COLLATE "C") OR octet_length(email) <> char_length(email) OR email ILIKE '%xn--%'
"""
"""The few accounts whose keys are looked at: PostgreSQL has neither rule itself."""

Key = Callable[[str], str]


def upgrade() -> None:
    """Apply the migration."""
    _rewrite({"username": _lower, "email": _email_key})


def downgrade() -> None:
    """Revert the migration."""
    _rewrite({"username": _folded, "email": _folded})


def _rewrite(rules: dict[str, Key]) -> None:
    """Write the keys anew that differ from ``rules``. Raises ``CommandError``, before any change, if two are the same.

    SQL that is printed only checks that no key can differ.
    """
    if op.get_context().as_sql:
        sentence = "some usernames or addresses are not in ASCII: run `flask db upgrade`, which computes their keys"
        op.execute(f"DO $$ BEGIN IF EXISTS (SELECT {MAY_DIFFER}) THEN RAISE EXCEPTION '{sentence}'; END IF; END $$")
        return
    changes = {column: _changes(column, key) for column, key in rules.items()}
    if clashes := [clash for column, keys in changes.items() for clash in _clashes(column, keys)]:
        raise CommandError(
            f"{len(clashes)} names would belong to more than one account. Nothing has been changed.\n"
            + "\n".join(clashes[:SHOWN])
            + "\nOf each of these accounts but one, change the name (PATCH /api/v1/users/{id}) or delete the account "
            "(flask users delete). Then run `flask db upgrade` again."
        )
    for column, keys in changes.items():
        if keys:
            _free(column, keys)
            statement = f"UPDATE users SET {column}_key = :key WHERE id = CAST(:id AS uuid)"  # noqa: S608 - the columns are constants
            op.get_bind().execute(sa.text(statement), [{"id": id_, "key": key} for id_, key in keys.items()])


def _free(column: str, keys: dict[str, str]) -> None:
    """Replace old keys that are new keys of other accounts by the account's id, so that the update never clashes."""
    statement = (
        f"UPDATE users SET {column}_key = id::text"  # noqa: S608 - the columns are constants
        f" WHERE {column}_key = ANY(:keys) AND id = ANY(CAST(:ids AS uuid[]))"
    )
    op.get_bind().execute(sa.text(statement), {"keys": list(keys.values()), "ids": list(keys)})


def _changes(column: str, rule: Key) -> dict[str, str]:
    """Return the new keys by the id of their account."""
    rows = op.get_bind().execute(
        sa.text(f"SELECT id::text, {column}, {column}_key {MAY_DIFFER}"),
        execution_options={"yield_per": 1000},
    )
    return {id_: rule(name) for id_, name, key in rows if rule(name) != key}


def _clashes(column: str, keys: dict[str, str]) -> list[str]:
    """Return a line for each key that more than one account would have."""
    holders: dict[str, set[str]] = defaultdict(set)
    for id_, key in keys.items():
        holders[key].add(id_)
    statement = sa.text(f"SELECT id::text, {column}_key FROM users WHERE {column}_key = ANY(:keys)")  # noqa: S608 - the columns are constants
    for id_, key in op.get_bind().execute(statement, {"keys": list(holders)}):
        if id_ not in keys:
            holders[key].add(id_)
    return [
        f"  {column} {key}: accounts {', '.join(sorted(ids))}" for key, ids in sorted(holders.items()) if len(ids) > 1
    ]


# As authapp.models.user had it when this was written: a migration does not change with the code.


def _lower(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name[:255]).lower())


def _email_key(email: str) -> str:
    local_part, at, domain = email[:255].rpartition("@")
    return f"{_lower(local_part)}{at}{_domain_key(domain)}"


def _domain_key(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except UnicodeError:
        return _lower(domain)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name[:255].casefold())
