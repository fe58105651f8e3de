"""Each migration is committed by itself, so that none holds its locks while the next one waits for its own."""

import time
from threading import Thread

from flask_migrate import upgrade
from sqlalchemy import create_engine, text

from authapp import create_app
from authapp.database.upgrades import without_time_limits
from conftest import dispose
from databases import ROOT, Databases
from settings import settings

MIGRATIONS = str(ROOT / "migrations")
SECONDS = 30


def test_a_migration_is_committed_before_the_next_one_waits_for_a_lock(databases: Databases) -> None:
    with databases.empty() as url:
        app, engine = create_app(settings(database_url=url)), create_engine(url)

        def migrate(revision: str) -> None:
            with app.app_context(), without_time_limits():
                upgrade(MIGRATIONS, revision)

        def version() -> str:
            with engine.connect() as connection:
                found: str = connection.scalar(text("SELECT version_num FROM alembic_version"))
                return found

        migrate("0005")
        migrating = Thread(target=migrate, args=("0007",))
        with engine.connect() as old_node:
            # Held by any statement of a node that serves; 0006 only writes rows, and 0007 changes the table.
            old_node.execute(text("LOCK TABLE users IN ACCESS SHARE MODE"))
            migrating.start()
            end = time.monotonic() + SECONDS
            while version() != "0006" and time.monotonic() < end and migrating.is_alive():
                time.sleep(0.05)
            seen = version()
        migrating.join(SECONDS)
        assert (seen, version()) == ("0006", "0007")
        engine.dispose()
        dispose(app)
