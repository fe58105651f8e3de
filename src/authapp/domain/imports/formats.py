"""The systems to import from: how the fields of their accounts become those of an import.

``builtin_formats`` has those of this package.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp.registry import Registry

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ImportFormat:
    """The accounts of one system.

    ``translate`` takes one object of its export, and the parameters of its hashes; it returns the fields of an import
    (docs/import.md). ``check_hash_config`` checks these parameters once, before the first line; it is ``None`` for a
    system whose hashes have none. ``foreign_id`` takes the object, and returns the id of the account there, or
    ``None``; leave it out for a system whose ids are always kept. All raise ``ValueError`` with a sentence that quotes
    no value. A ``KeyError``, ``TypeError`` or the like, as of a field that is missing, becomes such a sentence.
    """

    translate: Callable[[Record, Record], dict[str, Any]]
    check_hash_config: Callable[[Record], None] | None = None
    foreign_id: Callable[[Record], Any] | None = None


import_formats: Registry[ImportFormat] = Registry(
    "system to import from", r"[a-z][a-z0-9-]{0,39}", "use 1 to 40 of a-z, 0-9 and -, such as acme."
)
"""The systems, by the name of ``flask users import --from``. Register your own before ``create_app()``."""


def translate(record: Record, system: str, hash_config: Record) -> dict[str, Any]:
    """Return the fields of an import. Raises ``ValueError``, with a sentence, if those of ``system`` are missing."""
    with _in_sentences(_not_of(system)):
        return import_formats[system].translate(record, hash_config)


def foreign_id(record: Record, system: str) -> str | int | None:
    """Return the id of an account in ``system``, or ``None``. Raises ``ValueError``, with a sentence, for any other."""
    read = import_formats[system].foreign_id
    with _in_sentences(_not_of(system)):
        found = read(record) if read else None
    if not isinstance(found, str | int | None) or isinstance(found, bool):
        raise ValueError("The id is neither text nor a whole number.")  # noqa: TRY004 - it is the error of a line
    return found


def check_hash_config(system: str, hash_config: Record) -> None:
    """Raise ``ValueError``, with a sentence, if the hashes of ``system`` cannot have these parameters."""
    if check := import_formats[system].check_hash_config:
        with _in_sentences(f"Not the hash parameters of {system}."):
            check(hash_config)


def uuid_of(value: object) -> UUID | None:
    """Return the UUID whose text ``value`` is, in either letter case; ``None`` for anything else."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _not_of(system: str) -> str:
    return f"Not an object of the export of {system}."


@contextmanager
def _in_sentences(otherwise: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{error.args[0]}: Missing.") from None
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, json.JSONDecodeError):
        raise ValueError(otherwise) from None
