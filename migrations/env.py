"""How Alembic runs authapp's own migrations."""

from authapp.cli.migrations import run_package_migrations

run_package_migrations()
