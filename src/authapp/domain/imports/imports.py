"""Importing accounts of another system: a file of one JSON object a line, read in batches, resumable."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.account_parts import AccountPart
from authapp.domain.audit import EventType
from authapp.domain.imports import builtin_formats  # noqa: F401 - it registers them
from authapp.domain.imports.accounts import ImportedAccount
from authapp.domain.imports.formats import check_hash_config, foreign_id, translate
from authapp.domain.pruning import Prunable, prunables
from authapp.models import AuditEvent, ForeignHashMark, Role, User
from authapp.security import identifiers, strict_json

BATCH = 1_000
"""How many lines are one transaction."""

MIN_AGE_TO_PRUNE = timedelta(minutes=10)
"""How old the mark of foreign hashes must be before it is pruned.

An import that commits between the look at the accounts and the lock on the mark has renewed it, and PostgreSQL then
compares the new time.
"""

prunables.register(
    "foreign_hash_marks",
    Prunable(
        "foreign_hash_marks",
        ForeignHashMark.marked_at,
        kept_for=MIN_AGE_TO_PRUNE,
        only=lambda _: ForeignHashMark.has_no_hashes(),
    ),
)

ATTEMPTS = 3
"""How often a batch is tried in which a part of an account turns out to be taken: the next attempt sees by whom."""

TAKEN = "Another account has its id, its username or its email address."

Line = tuple[int, bytes | None]
"""A line with its number, from 1; ``None`` instead of one that is too long."""


@dataclass(frozen=True)
class ImportFault:
    """Why a line was not imported."""

    line: int
    reason: str


@dataclass(frozen=True)
class ImportedId:
    """The id that an account has here, and that which it had in the other system, where this could not be kept."""

    line: int
    foreign_id: str | int
    id: UUID


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to import.

    ``system`` is a name in ``import_formats``; ``hash_config`` has the parameters of its hashes. Lines up to ``after``
    are left out. With ``skip_taken``, an account that is there already is no fault. With ``dry_run``, nothing is
    stored.
    """

    system: str = "authapp"
    hash_config: Mapping[str, Any] = field(default_factory=dict)
    after: int = 0
    skip_taken: bool = False
    dry_run: bool = False


@dataclass
class ImportBatch:
    """What became of up to ``BATCH`` lines, of which ``last_line`` is the last.

    ``renamed`` is how many accounts got a username that was made of their address.
    """

    last_line: int
    imported: int = 0
    renamed: int = 0
    skipped: int = 0
    faults: list[ImportFault] = field(default_factory=list)
    ids: list[ImportedId] = field(default_factory=list)


class Imports:
    """The use case of importing accounts."""

    def __init__(self, parts: Mapping[str, AccountPart]) -> None:
        """Take the parts of accounts, by the names of their fields."""
        self._parts = parts

    def import_from(
        self, lines: Iterable[Line], options: ImportOptions, context: RequestContext
    ) -> Iterator[ImportBatch]:
        """Import accounts, and return each batch after its commit; a line with a fault stops no other.

        No hash is computed, no mail is sent and no hook is called. Each account leaves an event. Raises ``ValueError``
        at once, with a sentence, for a ``hash_config`` that cannot be used.
        """
        check_hash_config(options.system, options.hash_config)
        return self._import_batches(lines, options, context)

    def _import_batches(
        self, lines: Iterable[Line], options: ImportOptions, context: RequestContext
    ) -> Iterator[ImportBatch]:
        wanted = (line for line in lines if line[0] > options.after)
        while batch := list(islice(wanted, BATCH)):
            yield self._import_batch(batch, options, context)

    def _import_batch(self, lines: Sequence[Line], options: ImportOptions, context: RequestContext) -> ImportBatch:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._try_batch(lines, options, context)
            except IntegrityError:
                continue
        return self._try_batch(lines, options, context)

    def _try_batch(self, lines: Sequence[Line], options: ImportOptions, context: RequestContext) -> ImportBatch:
        result = ImportBatch(last_line=lines[-1][0])
        accounts: list[tuple[int, ImportedAccount]] = []
        foreign_ids: dict[int, str | int | None] = {}
        for number, content in lines:
            try:
                record = _object_in(content)
                fields = translate(record, options.system, options.hash_config)
                foreign_ids[number] = foreign_id(record, options.system)
                accounts.append((number, ImportedAccount.read(fields, self._parts)))
            except ValueError as error:
                result.faults.append(ImportFault(number, str(error)))
        with transaction() as session:
            accounts = _with_known_roles(accounts, result)
            free = _with_free_names(accounts)
            taken = {number for number, _ in accounts} - {number for number, _ in free}
            free = self._with_free_parts(free, result)
            stored = _insert_accounts([account for _, account in free], context)
            self._store_parts([account for _, account in free if account.id in stored], context)
            if options.dry_run:
                session.rollback()
        imported = [(number, account) for number, account in free if account.id in stored]
        result.imported, result.renamed = len(imported), sum(not account.is_named for _, account in imported)
        for number, account in imported:
            foreign = foreign_ids[number]
            if foreign is not None and str(foreign) != str(account.id):
                result.ids.append(ImportedId(number, foreign, account.id))
        taken |= {number for number, account in free if account.id not in stored}
        if options.skip_taken:
            result.skipped = len(taken)
        else:
            result.faults += (ImportFault(number, TAKEN) for number in taken)
        result.faults.sort(key=lambda fault: fault.line)
        return result

    def _with_free_parts(
        self, accounts: Sequence[tuple[int, ImportedAccount]], result: ImportBatch
    ) -> list[tuple[int, ImportedAccount]]:
        """Return the accounts whose parts nobody has; the others are faults."""
        for name, part in self._parts.items():
            values = _values(name, (account for _, account in accounts))
            taken = set(part.taken(values)) if values else set()
            lines = [number for number, account in accounts if account.id in taken]
            result.faults += (ImportFault(number, f"{name}: Another account has it.") for number in lines)
            accounts = [(number, account) for number, account in accounts if account.id not in taken]
        return list(accounts)

    def _store_parts(self, accounts: Sequence[ImportedAccount], context: RequestContext) -> None:
        for name, part in self._parts.items():
            if values := _values(name, accounts):
                part.store(values, context)


def _values(part: str, accounts: Iterable[ImportedAccount]) -> dict[UUID, Any]:
    return {account.id: account.parts[part] for account in accounts if part in account.parts}


def _object_in(content: bytes | None) -> dict[str, Any]:
    if content is None:
        raise ValueError("The line is too long.")
    try:
        return strict_json.loads_object(content)
    except ValueError as error:
        raise ValueError(str(error).replace("The body", "The line")) from None


def _with_known_roles(
    accounts: Sequence[tuple[int, ImportedAccount]], result: ImportBatch
) -> list[tuple[int, ImportedAccount]]:
    """Return the accounts whose roles all exist, after locking these against deletion; the others are faults."""
    names = {role for _, account in accounts for role in account.roles}
    live = select(Role.name).where(Role.name.in_(names), Role.is_live).order_by(Role.name)
    known = set(db.session.scalars(live.with_for_update(read=True, key_share=True))) if names else set()
    kept = []
    for number, account in accounts:
        if known.issuperset(account.roles):
            kept.append((number, account))
        else:
            result.faults.append(ImportFault(number, "roles: There is no such role."))
    return kept


def _with_free_names(accounts: Sequence[tuple[int, ImportedAccount]]) -> list[tuple[int, ImportedAccount]]:
    """Return the accounts whose id and names nobody has, neither in the database nor further up in the batch.

    An account that came without a username gets another one if that which was made is taken.
    """
    ids, usernames, emails = (
        _taken(column, [getattr(account, column.key) for _, account in accounts])
        for column in (User.id, User.username_key, User.email_key)
    )
    free = []
    for number, read in accounts:
        is_renamed = not read.is_named and read.username_key in usernames
        account = replace(read, username=read.other_username) if is_renamed else read
        if account.id in ids or account.email_key in emails or account.username_key in usernames:
            continue
        ids.add(account.id)
        usernames.add(account.username_key)
        emails.add(account.email_key)
        free.append((number, account))
    return free


def _taken(column: Any, values: Sequence[Any]) -> set[Any]:
    """Return those of ``values`` that an account has in ``column``."""
    return set(db.session.scalars(select(column).where(column == any_(literal(values, ARRAY(column.type))))))


# An id may be that of an account which was deleted: sessions of it that are still to be pruned are over.
# All accounts of a batch are one parameter: with one for each value, the client took twice as long.
_INSERT = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(:accounts) AS account(
            id uuid, event_id uuid, username text, username_key text, email text, email_key text,
            email_verified_at timestamptz, password_hash text, status text, created_at timestamptz, roles jsonb)
    ), stored AS (
        INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, first_verified_at,
            password_hash, status, sessions_valid_from, created_at, updated_at, imported_at)
        SELECT id, username, username_key, email, email_key, email_verified_at, email_verified_at,
            password_hash, status, clock_timestamp(), created_at, :now, :now FROM given
        ON CONFLICT DO NOTHING RETURNING id
    ), granted AS (
        SELECT id AS user_id, role.name, role.event_id FROM given JOIN stored USING (id),
            jsonb_to_recordset(given.roles) AS role(name text, event_id uuid)
    ), roles AS (
        INSERT INTO user_roles (user_id, role_name) SELECT user_id, name FROM granted
    ), events AS (
        SELECT event_id, :imported AS type, id AS subject_id, '{}'::jsonb AS details FROM given JOIN stored USING (id)
        UNION ALL SELECT event_id, :role_granted, user_id, jsonb_build_object('role', name) FROM granted
    ), recorded AS (
        INSERT INTO audit_events (occurred_at, id, type, actor_id, subject_id, user_agent, details)
        SELECT :now, event_id, type, :actor_id, subject_id, :user_agent, details FROM events
    )
    SELECT id FROM stored
    """
).bindparams(
    bindparam("accounts", type_=JSONB),
    bindparam("now", type_=AuditEvent.occurred_at.type),
    bindparam("actor_id", type_=Uuid),
    bindparam("imported", EventType.USER_IMPORTED),
    bindparam("role_granted", EventType.ROLE_GRANTED),
)


def _insert_accounts(accounts: Sequence[ImportedAccount], context: RequestContext) -> set[UUID]:
    """Store the accounts with their roles and events; return the ids of those that were stored.

    One whose name was taken since ``_with_free_names`` is not.
    """
    now = clock.now()
    parameters = {"actor_id": context.actor_id, "user_agent": context.truncated_user_agent, "now": now}
    if any(account.password_hash for account in accounts):
        db.session.execute(ForeignHashMark.set_statement())
    rows = [_row(account, now) for account in accounts]
    stored = set(db.session.execute(_INSERT, {"accounts": rows, **parameters}).scalars())
    audit.count(EventType.USER_IMPORTED, len(stored))
    audit.count(EventType.ROLE_GRANTED, sum(len(account.roles) for account in accounts if account.id in stored))
    return stored


def _row(account: ImportedAccount, now: datetime) -> dict[str, Any]:
    return {
        "id": str(account.id),
        "event_id": str(identifiers.time_ordered()),
        "username": account.username,
        "username_key": account.username_key,
        "email": account.email,
        "email_key": account.email_key,
        "email_verified_at": now.isoformat() if account.email_verified else None,
        "password_hash": account.password_hash,
        "status": account.status,
        "created_at": account.created_at.isoformat(),
        "roles": [{"name": role, "event_id": str(identifiers.time_ordered())} for role in account.roles],
    }
