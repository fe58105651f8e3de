"""Importing accounts of another system: a file of one JSON object a line, read in batches, resumable."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from authapp.context import RequestContext
from authapp.database.errors import broken_constraint
from authapp.database.session import db, transaction
from authapp.domain.account_parts import AccountPart
from authapp.domain.imports import builtin_formats  # noqa: F401 - it registers them
from authapp.domain.imports.accounts import ImportedAccount
from authapp.domain.imports.clashes import Clash, without_clashes
from authapp.domain.imports.formats import check_hash_config, uuid_of
from authapp.domain.imports.lines import AccountLine, Line, LineError, read_line
from authapp.domain.imports.rows import insert_accounts
from authapp.domain.pruning import Prunable, prunables
from authapp.models import ForeignHashMark, Role

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
"""How often a batch is tried in which something turns out to be taken meanwhile: the next attempt sees by whom."""


class BatchRefused(Exception):
    """The database refused a batch each time, and no check tells which line is to blame. Nothing of it is stored."""


@dataclass(frozen=True)
class ImportedId:
    """The id that an account has here, and that which it has in the other system, where this could not be kept."""

    line: int
    foreign_id: str | int
    id: UUID


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to import.

    ``system`` is a name in ``import_formats``; ``hash_config`` has the parameters of its hashes. Lines up to ``after``
    are left out. With ``skip_existing``, an account that is there already, with the same id or email address, is no
    error. With ``dry_run``, nothing is stored.
    """

    system: str = "authapp"
    hash_config: Mapping[str, Any] = field(default_factory=dict)
    after: int = 0
    skip_existing: bool = False
    dry_run: bool = False


@dataclass
class ImportBatch:
    """What became of up to ``BATCH`` lines, of which ``last_line`` is the last.

    ``usernames_made`` is how many accounts got a username that was made of their address. ``ids`` has those of
    imported and of skipped accounts.
    """

    last_line: int
    imported: int = 0
    usernames_made: int = 0
    skipped: int = 0
    errors: list[LineError] = field(default_factory=list)
    ids: list[ImportedId] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Note that a line was not imported."""
        self.errors.append(LineError(line, reason))

    def note_stored(self, lines: Sequence[AccountLine]) -> None:
        """Note that the accounts of these lines were imported."""
        self.imported = len(lines)
        self.usernames_made = sum(not line.account.is_named for line in lines)
        for line in lines:
            self._note_id(line, line.account.id)

    def note_skipped(self, line: AccountLine, user_id: UUID) -> None:
        """Note that the account of a line is there already, as ``user_id``."""
        self.skipped += 1
        self._note_id(line, user_id)

    def _note_id(self, line: AccountLine, user_id: UUID) -> None:
        if line.foreign_id is not None and uuid_of(line.foreign_id) != user_id:
            self.ids.append(ImportedId(line.number, line.foreign_id, user_id))


class Imports:
    """The use case of importing accounts."""

    def __init__(self, parts: Mapping[str, AccountPart]) -> None:
        """Take the parts of accounts, by the names of their fields."""
        self._parts = parts

    def import_from(
        self, lines: Iterable[Line], options: ImportOptions, context: RequestContext
    ) -> Iterator[ImportBatch]:
        """Import accounts, and return each batch after its commit; a line with an error stops no other.

        No hash is computed, no mail is sent and no hook is called. Each account leaves an event. Raises ``ValueError``
        at once, with a sentence, for a ``hash_config`` that cannot be used. The iterator raises ``BatchRefused``.
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
        constraint = None
        for _ in range(ATTEMPTS):
            try:
                return self._try_batch(lines, options, context)
            except IntegrityError as error:
                constraint = broken_constraint(error)
        raise BatchRefused(
            f"The database refuses one of the lines {lines[0][0]} to {lines[-1][0]} by its constraint {constraint}."
        )

    def _try_batch(self, lines: Sequence[Line], options: ImportOptions, context: RequestContext) -> ImportBatch:
        batch = ImportBatch(last_line=lines[-1][0])
        read = self._read(lines, options, batch)
        with transaction() as session:
            free, clashes = without_clashes(_with_known_roles(read, batch))
            stored = self._with_free_parts(free, batch)
            self._store([line.account for line in stored], context)
            if options.dry_run:
                session.rollback()
        batch.note_stored(stored)
        existing = _existing(clashes, free, stored) if options.skip_existing else {}
        for clash in clashes:
            if user_id := existing.get(clash.line.number):
                batch.note_skipped(clash.line, user_id)
            else:
                batch.refuse(clash.line.number, clash.reason)
        batch.errors.sort(key=attrgetter("line"))
        batch.ids.sort(key=attrgetter("line"))
        return batch

    def _read(self, lines: Sequence[Line], options: ImportOptions, batch: ImportBatch) -> list[AccountLine]:
        """Return the lines that have valid accounts."""
        read = []
        for line in lines:
            try:
                read.append(read_line(line, options.system, options.hash_config, self._parts))
            except ValueError as error:
                batch.refuse(line[0], str(error))
        return read

    def _with_free_parts(self, lines: Sequence[AccountLine], batch: ImportBatch) -> list[AccountLine]:
        """Return the lines whose parts no other account has."""
        free = list(lines)
        for name, part in self._parts.items():
            values = _values(name, (line.account for line in free))
            taken = set(part.taken(values)) if values else set()
            for line in free:
                if line.account.id in taken:
                    batch.refuse(line.number, f"{name}: Another account has it.")
            free = [line for line in free if line.account.id not in taken]
        return free

    def _store(self, accounts: Sequence[ImportedAccount], context: RequestContext) -> None:
        insert_accounts(accounts, context)
        for name, part in self._parts.items():
            if values := _values(name, accounts):
                part.store(values, context)


def _values(part: str, accounts: Iterable[ImportedAccount]) -> dict[UUID, Any]:
    return {account.id: account.parts[part] for account in accounts if part in account.parts}


def _with_known_roles(lines: Sequence[AccountLine], batch: ImportBatch) -> list[AccountLine]:
    """Return the lines whose roles all exist, after locking these against deletion."""
    names = {role for line in lines for role in line.account.roles}
    live = select(Role.name).where(Role.name.in_(names), Role.is_live).order_by(Role.name)
    known = set(db.session.scalars(live.with_for_update(read=True, key_share=True))) if names else set()
    for line in lines:
        if not known.issuperset(line.account.roles):
            batch.refuse(line.number, "roles: There is no such role.")
    return [line for line in lines if known.issuperset(line.account.roles)]


def _existing(clashes: Iterable[Clash], free: Iterable[AccountLine], stored: Iterable[AccountLine]) -> dict[int, UUID]:
    """Return the ids of the accounts that are there already, by the numbers of their lines.

    That of a line further up is not, if it was refused for one of its parts.
    """
    refused = {line.account.id for line in free} - {line.account.id for line in stored}
    return {
        clash.line.number: clash.user_id
        for clash in clashes
        if clash.user_id is not None and clash.user_id not in refused
    }
