"""Run a Python module with a database: ``python -m tools.with_database flask db check``.

The database is in ``build/database``, holds no valuable data, and is stopped when the command ends.
"""

import os
import subprocess
import sys
from pathlib import Path

from tools.embedded_postgres import FAST_AND_LOSSY, EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent


def main(command: list[str]) -> int:
    """Run ``command`` and return its exit status."""
    postgres = EmbeddedPostgres(ROOT / "build" / "database", FAST_AND_LOSSY)
    postgres.start()
    try:
        url = postgres.ensure_database("authapp")
        environment = {**os.environ, "AUTHAPP_DATABASE_URL": url, "AUTHAPP_ENV": "development", "FLASK_APP": "wsgi.py"}
        # A file would win over the address, and the command could change somebody's real database.
        environment.pop("AUTHAPP_DATABASE_URL_FILE", None)
        return subprocess.run([sys.executable, "-m", *command], check=False, env=environment).returncode
    finally:
        postgres.stop()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
