"""The tables: what the database itself guarantees, and that the migrations make them."""

from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from authapp import create_app
from authapp.database.session import db
from authapp.models import TABLES, User
from conftest import dispose
from databases import ROOT, Databases
from factories import a_session, a_user
from settings import settings

NOBODYS = {"users", "roles", "audit_events", "login_throttles", "address_limits", "outgoing_mail", "foreign_hash_marks"}
"""The tables whose rows do not belong to a user, or may belong to nobody; all others are keyed by the user first."""

MIGRATIONS = str(ROOT / "migrations")


def test_models_and_migrations_agree(databases: Databases) -> None:
    with databases.migrated() as url:
        engine = create_engine(url)
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, db.metadata) == []
        engine.dispose()


def test_every_table_is_in_the_list_of_tables() -> None:
    assert set(db.metadata.tables) == TABLES


def test_every_migration_goes_up_and_down_and_up(databases: Databases) -> None:
    with databases.empty() as url:
        app = create_app(settings(database_url=url))
        revisions = [script.revision for script in ScriptDirectory(MIGRATIONS).walk_revisions()]
        with app.app_context():
            for revision in reversed(revisions):
                upgrade(MIGRATIONS, revision)
                downgrade(MIGRATIONS, "-1")
                upgrade(MIGRATIONS, revision)
            downgrade(MIGRATIONS, "base")
            assert inspect(db.engine).get_table_names() == ["alembic_version"]
            upgrade(MIGRATIONS)
            assert set(db.metadata.tables) < set(inspect(db.engine).get_table_names())
        dispose(app)


def test_a_session_that_the_mark_has_ended_does_not_come_back_with_the_version_before(databases: Databases) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        user, other = a_user(app), a_user(app)
        a_session(app, user)
        a_session(app, other)
        with app.app_context():
            # As for the sessions beyond those that a logout everywhere ends one by one.
            marked = text("UPDATE users SET sessions_valid_from = clock_timestamp() WHERE id = :id")
            db.session.execute(marked, {"id": user.id})
            db.session.commit()
            downgrade(MIGRATIONS, "0003")
            live = db.session.scalars(text("SELECT user_id FROM sessions WHERE ended_at IS NULL")).all()
            assert live == [other.id]
        dispose(app)


@pytest.mark.parametrize("column", ["username_key", "email_key"])
def test_the_database_refuses_a_second_name_in_any_letter_case(app: Flask, column: str) -> None:
    user = a_user(app, "Ada")
    other = User(id=uuid4(), username="other", email="other@example.com", password_hash="x")
    setattr(other, column.removesuffix("_key"), getattr(user, column.removesuffix("_key")).swapcase())
    with app.app_context():
        db.session.add(other)
        with pytest.raises(IntegrityError, match=f"uq_users_{column}"):
            db.session.commit()


def test_the_database_refuses_an_unknown_status(app: Flask) -> None:
    a_user(app)
    with app.app_context(), pytest.raises(IntegrityError, match="ck_users_status"):
        db.session.execute(text("UPDATE users SET status = 'admin'"))


@pytest.mark.parametrize("table", ["users", "sessions", "token_blocklist"])
def test_no_column_is_made_to_hold_a_token_or_a_password(table: str) -> None:
    names = set(db.metadata.tables[table].columns.keys())
    assert not {name for name in names if "token" in name or "password" in name} - {"password_hash", "token_type"}


def test_every_time_knows_its_zone_and_every_constraint_has_a_name() -> None:
    for table in db.metadata.tables.values():
        for column in table.columns:
            assert getattr(column.type, "timezone", True), column
        assert all(constraint.name for constraint in table.constraints)
        if table.name not in NOBODYS:
            assert next(iter(table.primary_key.columns)).name == "user_id"


def test_the_folder_of_migrations_has_no_stray_file() -> None:
    assert {path.suffix for path in Path(MIGRATIONS, "versions").iterdir() if path.is_file()} == {".py"}
