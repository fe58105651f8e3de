"""Folders of Alembic migrations, and the check that the database is at the revision that a folder needs."""

from functools import cached_property
from importlib.resources import files
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import ARRAY, Column, MetaData, String, Table, func, select, type_coerce
from sqlalchemy.exc import ProgrammingError

from authapp.database.errors import sqlstate
from authapp.database.session import read_one

UNDEFINED_TABLE = "42P01"


class MigrationFolder:
    """A folder of migrations, and the table where Alembic stores the current revision of the database."""

    def __init__(self, path: Path, version_table: str) -> None:
        self.path = path
        self.version_table = version_table

    @cached_property
    def _revisions(self) -> tuple[frozenset[str], frozenset[str]]:
        scripts = ScriptDirectory(str(self.path))
        return frozenset(scripts.get_heads()), frozenset(script.revision for script in scripts.walk_revisions())

    @property
    def heads(self) -> frozenset[str]:
        """The newest revisions of the folder; more than one where it has branches."""
        return self._revisions[0]

    def problem(self) -> str | None:
        """Return a sentence if the database is behind this folder, and ``None`` if it is at its head or newer.

        A revision that is not in the folder belongs to a newer version. This is not a problem: migrations are written
        so that the previous version can still serve. Raises ``sqlalchemy.exc.SQLAlchemyError``.
        """
        heads, known = self._revisions
        current = self._current()
        if current is None:
            return "The database has not been migrated: run `flask db upgrade`." if heads else None
        if not current <= known or current >= heads:
            return None
        found, needed = (", ".join(sorted(revisions)) or "none" for revisions in (current, heads))
        return f"The database is at migration {found}, and this version needs {needed}: run `flask db upgrade`."

    def _current(self) -> frozenset[str] | None:
        revision = Table(self.version_table, MetaData(), Column("version_num", String)).c.version_num
        try:
            row = read_one(select(type_coerce(func.array_agg(revision), ARRAY(String)).label("revisions")))
        except ProgrammingError as error:
            if sqlstate(error) != UNDEFINED_TABLE:
                raise
            return None
        return frozenset((row.revisions if row else None) or ())


PACKAGE = MigrationFolder(Path(str(files("authapp"))) / "migrations", "alembic_version")
"""The migrations of authapp's own tables."""

PROJECT_FOLDER = "migrations"
"""Where a project keeps its own migrations, below the working directory; Flask-Migrate's default."""

PROJECT_VERSION_TABLE = "alembic_version_project"
"""Where the revision of a project's own migrations is kept, beside that of authapp's."""


def project_folder(folder: str = PROJECT_FOLDER) -> MigrationFolder | None:
    """Return the migrations of a project in ``folder``, or ``None`` where it has none, or they are authapp's."""
    path = Path(folder).absolute()
    if not (path / "env.py").is_file() or path.samefile(PACKAGE.path):
        return None
    return MigrationFolder(path, PROJECT_VERSION_TABLE)
