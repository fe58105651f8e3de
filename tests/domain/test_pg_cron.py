"""The jobs of ``deploy/pg_cron.sql`` delete what ``flask tokens prune`` deletes."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql

from authapp.domain.pruning import Prunable, prunables
from authapp.domain.throttle_scopes import second_factor_scopes

STATEMENTS = (Path(__file__).parents[2] / "deploy" / "pg_cron.sql").read_text()
LEEWAY = timedelta(minutes=5)
"""What the file takes for ``AUTHAPP_LEEWAY``, which it cannot know; the setting is at most a minute."""

PLAIN = sorted(name for name, prunable in prunables.items() if type(prunable) is Prunable)
"""The tables whose rows a single condition tells apart.

The other jobs are run by ``test_throttle_pruning.py``, ``test_never_verified.py`` and ``test_role_deletion.py``.
"""


def job(table: str) -> str:
    """Return the statement of the job that deletes from the table."""
    (statement,) = re.findall(rf"^SELECT cron.*\$\$(.*\bDELETE FROM {table} .*)\$\$", STATEMENTS, re.MULTILINE)
    return str(statement)


def interval(age: timedelta) -> str:
    return f" - interval '{age.days} days'" if age.days else f" - interval '{age.seconds // 60} minutes'"


def expected(name: str) -> str:
    """Return the statement that deletes the oldest rows of a registered table."""
    prunable = prunables[name]
    age = prunable.kept_for + (LEEWAY if prunable.after_leeway else timedelta(0))
    condition = f"{prunable.indexed_time.key} < now(){interval(age) if age else ''}"
    if prunable.only:
        further = prunable.only(None).compile(dialect=postgresql.dialect())  # type: ignore[arg-type]
        condition += f" AND {str(further).replace(f'{name}.', '')}"
    columns = ", ".join(column.name for column in prunable.model.__mapper__.primary_key)
    key = f"({columns})" if "," in columns else columns
    oldest = f"SELECT {columns} FROM {name} WHERE {condition} ORDER BY {prunable.indexed_time.key}"
    return f"DELETE FROM {name} WHERE {key} IN ({oldest} LIMIT 50000 FOR UPDATE SKIP LOCKED)"


@pytest.mark.parametrize("name", PLAIN)
def test_a_job_deletes_what_is_registered(name: str) -> None:
    assert job(name) == expected(name)


def test_there_is_a_job_for_every_table() -> None:
    emptied = re.findall(r"^SELECT cron\.schedule\(.*\bDELETE FROM (\w+)", STATEMENTS, re.MULTILINE)
    assert sorted(emptied) == sorted([*prunables, "login_throttles", "user_roles"])


def test_the_job_of_the_throttles_keeps_the_scopes_of_second_factors() -> None:
    kept = re.findall(r"purpose IN \('([a-z_', ]+)'\)", STATEMENTS)
    assert kept == ["', '".join(second_factor_scopes())]
