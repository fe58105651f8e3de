"""How Alembic runs authapp's own migrations."""

from authapp.cli.alembic_env import run_package_migrations

run_package_migrations()
