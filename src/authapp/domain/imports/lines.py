"""The lines of an import, each read into an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authapp.domain.account_parts import AccountPart
from authapp.domain.imports.accounts import ImportedAccount
from authapp.domain.imports.formats import foreign_id, translate
from authapp.security import strict_json

Line = tuple[int, bytes | None]
"""A line with its number, from 1; ``None`` instead of one that is too long."""


@dataclass(frozen=True)
class AccountLine:
    """A line with a valid account, and the id that this has in the other system, if it has one."""

    number: int
    account: ImportedAccount
    foreign_id: str | int | None


@dataclass(frozen=True)
class LineError:
    """Why a line was not imported."""

    line: int
    reason: str


def read_line(line: Line, system: str, hash_config: Mapping[str, Any], parts: Mapping[str, AccountPart]) -> AccountLine:
    """Return a line of the export of ``system``. Raises ``ValueError`` with a sentence that quotes no value."""
    number, content = line
    record = _object_in(content)
    account = ImportedAccount.read(translate(record, system, hash_config), parts)
    return AccountLine(number, account, foreign_id(record, system))


def _object_in(content: bytes | None) -> dict[str, Any]:
    if content is None:
        raise ValueError("The line is too long.")
    try:
        return strict_json.loads_object(content)
    except ValueError as error:
        raise ValueError(str(error).replace("The body", "The line")) from None
