"""``flask db`` in a project: its tables and ours, each with migrations and a version table of their own."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from authapp import AuthApp, create_app
from authapp.config import normalised_database_url
from authapp.models import TABLES
from databases import Databases, psql
from extension.projects import BOOKS, WSGI, Project, with_settings
from settings import settings

SLOW_MIGRATION = """
def upgrade() -> None:
    op.execute("SELECT pg_sleep(2)")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix_books_id ON books (id)")


def downgrade() -> None:
    op.drop_index("ix_books_id")
"""

NEXT_MIGRATION = """
def upgrade() -> None:
    op.execute("ALTER TABLE books ADD COLUMN title text")


def downgrade() -> None:
    op.execute("ALTER TABLE books DROP COLUMN title")
"""


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        yield url


@pytest.fixture
def project(url: str, tmp_path: Path) -> Project:
    return Project(tmp_path, BOOKS, with_settings(url))


@pytest.fixture
def migrated(project: Project) -> Project:
    """The project with one migration, which has been run."""
    write_migration(project)
    project.succeed("db", "upgrade")
    return project


MIGRATION = """\
from alembic import op
import sqlalchemy as sa

revision = "books"
down_revision = None


def upgrade():
    op.create_table(
        "books",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_books_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_books"),
    )
    op.create_index("ix_books_user_id", "books", ["user_id"])


def downgrade():
    op.drop_table("books")
"""


def write_migration(project: Project) -> None:
    """Make the folder, with the migration that ``flask db migrate`` would write."""
    project.succeed("db", "init")
    (project.folder / "migrations" / "versions" / "books.py").write_text(MIGRATION)


def tables_of(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def run(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def readiness(project: Project) -> str:
    """Return ``ready``, or what is missing, as a server of the project says it in its log."""
    script = (
        "from wsgi import app; ready = app.test_client().get('/health/ready').status_code == 200\n"
        "app.app_context().push(); problems = app.extensions['authapp'].services.health.problems()\n"
        "print('ready' if ready else [each.for_operator for each in problems.values()])"
    )
    (project.folder / "readiness.py").write_text(script)
    done = project.run("readiness")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def migration_of(project: Project) -> Path:
    (file,) = (project.folder / "migrations" / "versions").glob("*.py")
    return file


def add_migration(project: Project, revision: str, body: str) -> None:
    head = f'from alembic import op\n\nrevision = "{revision}"\ndown_revision = "books"\n\n'
    (migration_of(project).parent / f"{revision}.py").write_text(head + body)


def test_without_a_folder_of_its_own_a_project_runs_ours(project: Project, url: str) -> None:
    project.succeed("db", "upgrade")

    assert tables_of(url) == {*TABLES, "alembic_version"}
    assert readiness(project) == "ready"


@pytest.mark.parametrize("command", ["migrate", "revision", "merge heads"])
def test_without_a_folder_of_its_own_a_project_is_told_to_make_one(project: Project, command: str) -> None:
    result = project.flask("db", *command.split())

    assert result.returncode == 1
    assert result.stderr.strip() == "Error: This project has no migrations of its own yet: run `flask db init` first."


def test_init_makes_the_folder_in_the_project(project: Project) -> None:
    project.succeed("db", "init")

    made = {path.name for path in (project.folder / "migrations").iterdir()}
    assert {"alembic.ini", "env.py", "script.py.mako", "versions"} <= made


def test_init_makes_the_folder_that_it_is_given(project: Project) -> None:
    project.succeed("db", "init", "-d", "elsewhere")
    project.succeed("db", "migrate", "-d", "elsewhere", "-m", "books")

    assert len(list((project.folder / "elsewhere" / "versions").glob("*_books.py"))) == 1


def test_migrate_sees_the_tables_of_the_project_and_not_ours(project: Project) -> None:
    project.succeed("db", "init")
    project.succeed("db", "upgrade")
    project.succeed("db", "migrate", "-m", "books")

    written = migration_of(project).read_text()
    assert re.findall(r"op\.create_table\('(\w+)'", written) == ["books"]
    assert re.findall(r"op\.drop_table\('(\w+)'", written) == ["books"]
    assert "['user_id'], ['users.id'], name=op.f('fk_books_user_id_users')" in written


def test_upgrade_runs_ours_first_and_theirs_after(migrated: Project, url: str) -> None:
    assert tables_of(url) == {*TABLES, "books", "alembic_version", "alembic_version_project"}
    assert "No new upgrade operations detected." in migrated.succeed("db", "check")
    assert "No changes" in migrated.succeed("db", "migrate", "-m", "nothing")
    assert migration_of(migrated)
    assert readiness(migrated) == "ready"


def test_upgrade_prints_sql_that_does_the_same(project: Project, url: str) -> None:
    write_migration(project)

    printed = project.succeed("db", "upgrade", "--sql")
    assert tables_of(url) == set()
    psql(url, printed)

    assert tables_of(url) == {*TABLES, "books", "alembic_version", "alembic_version_project"}
    assert "No new upgrade operations detected." in project.succeed("db", "check")
    assert readiness(project) == "ready"


def test_downgrade_takes_back_what_is_the_projects(migrated: Project, url: str) -> None:
    migrated.succeed("db", "downgrade", "base")

    assert tables_of(url) == {*TABLES, "alembic_version", "alembic_version_project"}


@pytest.mark.parametrize("table", ["alembic_version", "alembic_version_project"])
def test_a_server_is_not_ready_behind_either_folder_and_ready_past_it(migrated: Project, url: str, table: str) -> None:
    run(url, f"UPDATE {table} SET version_num = 'from-a-newer-version'")
    assert readiness(migrated) == "ready"

    run(url, f"DELETE FROM {table}")
    assert "run `flask db upgrade`" in readiness(migrated)

    run(url, f"DROP TABLE {table}")
    assert "has not been migrated" in readiness(migrated)


def test_a_migration_of_the_next_version_leaves_the_nodes_of_this_one_in_service(
    migrated: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old = Project(tmp_path_factory.mktemp("old"), BOOKS, migrated.variables)
    shutil.copytree(migrated.folder / "migrations", old.folder / "migrations")
    add_migration(migrated, "next", NEXT_MIGRATION)
    assert "is at migration books, and this version needs next" in readiness(migrated), "the new one waits"

    migrated.succeed("db", "upgrade")

    assert readiness(old) == "ready"
    assert readiness(migrated) == "ready"


def test_of_two_upgrades_at_once_one_migrates_and_the_other_waits(migrated: Project) -> None:
    add_migration(migrated, "slow", SLOW_MIGRATION)

    upgrades = [migrated.start("flask", "db", "upgrade") for _ in range(2)]
    outputs = [upgrade.communicate(timeout=60) for upgrade in upgrades]

    assert [upgrade.returncode for upgrade in upgrades] == [0, 0], outputs
    assert [("Waiting for another process" in errors) for _, errors in outputs].count(True) == 1
    assert readiness(migrated) == "ready"


def test_two_upgrades_at_once_of_an_empty_database_both_succeed(project: Project, url: str) -> None:
    upgrades = [project.start("flask", "db", "upgrade") for _ in range(2)]
    outputs = [upgrade.communicate(timeout=60) for upgrade in upgrades]

    assert [upgrade.returncode for upgrade in upgrades] == [0, 0], outputs
    assert tables_of(url) == {*TABLES, "alembic_version"}


def test_an_upgrade_needs_no_second_place_in_the_pool(migrated: Project) -> None:
    migrated.variables["AUTHAPP_DATABASE_POOL_SIZE"] = "1"

    migrated.succeed("db", "upgrade")


def test_a_migration_may_take_longer_than_a_request(migrated: Project) -> None:
    migrated.variables["AUTHAPP_DATABASE_TIMEOUT"] = "1"
    add_migration(migrated, "slow", SLOW_MIGRATION)

    migrated.succeed("db", "upgrade")


def test_an_upgrade_without_a_database_ends_with_one_line(project: Project) -> None:
    project.variables["AUTHAPP_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/nothing"

    result = project.flask("db", "upgrade")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: The database cannot be asked")
    assert "Traceback" not in result.stderr


def test_the_env_that_flask_migrate_writes_works_as_well(project: Project, url: str) -> None:
    project.succeed("db", "init", "--template", "flask")
    project.succeed("db", "migrate", "-m", "books")
    project.succeed("db", "upgrade")

    assert "fileConfig" in (project.folder / "migrations" / "env.py").read_text()
    assert tables_of(url) == {*TABLES, "books", "alembic_version", "alembic_version_project"}
    project.succeed("db", "check")


def test_a_project_that_had_migrations_before_keeps_them(migrated: Project, url: str) -> None:
    for table in TABLES:
        run(url, f"DROP TABLE {table} CASCADE")
    run(url, "DROP FUNCTION audit_events_are_append_only")
    run(url, "DROP TABLE alembic_version; ALTER TABLE alembic_version_project RENAME TO alembic_version")
    assert "authapp's own migrations: Can't locate revision" in migrated.flask("db", "upgrade").stderr

    run(url, "ALTER TABLE alembic_version RENAME TO alembic_version_project")
    migrated.succeed("db", "upgrade")
    assert readiness(migrated) == "ready"


def test_a_table_of_theirs_in_another_schema_may_have_the_name_of_ours(url: str, tmp_path: Path) -> None:
    renamed = BOOKS.replace('"books"', '"sessions"').replace(
        "    id: Mapped", '    __table_args__ = {"schema": "library"}\n    id: Mapped', 1
    )
    project = Project(tmp_path, renamed, with_settings(url))
    project.succeed("db", "init")
    project.succeed("db", "migrate", "-m", "sessions")

    assert re.findall(r"op\.create_table\('(\w+)'", migration_of(project).read_text()) == ["sessions"]


def test_ours_are_written_in_the_checkout_alone(tmp_path: Path) -> None:
    project = Project(tmp_path, WSGI, with_settings("postgresql://nobody@127.0.0.1:9/nothing"))

    assert "run `flask db init` first" in project.flask("db", "revision", "-m", "ours").stderr


def test_after_the_upgrade_of_a_test_the_limits_on_statements_are_back(url: str) -> None:
    from authapp import db, testing

    app = create_app(settings(database_url=normalised_database_url(url)))
    testing.upgrade_database(app)

    with app.app_context():
        shown = db.session.scalar(text("SHOW statement_timeout"))
        AuthApp.of(app).close_connections()
    assert shown != "0"
