"""The PostgreSQL of development and tests."""

import shutil
from pathlib import Path

import pytest
from tools import embedded_postgres, with_database
from tools.embedded_postgres import BINARIES, FAST_AND_LOSSY, EmbeddedPostgres


def test_it_runs_from_a_checkout_below_a_folder_that_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root too: the unprivileged account that the server runs as must reach its binaries and its data."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = BINARIES.parent.parent
    for folder in (BINARIES.parent, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, private / folder.relative_to(package.parent), symlinks=True)
    monkeypatch.setattr(embedded_postgres, "BINARIES", private / BINARIES.relative_to(package.parent))
    postgres = EmbeddedPostgres(private / "postgres", FAST_AND_LOSSY)
    postgres.start()
    try:
        assert postgres.ensure_database("one") == postgres.ensure_database("one")
    finally:
        postgres.stop()
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_command_with_a_database_gets_no_other_one_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "database-url"
    file.write_text("postgresql://db.example/production")
    (tmp_path / "shown.py").write_text(
        "from authapp.config.environment import EnvironmentReader\n"
        "print(EnvironmentReader(lambda _: []).database_url('database_url'))\n"
    )
    monkeypatch.setattr(with_database, "ROOT", tmp_path)
    monkeypatch.setenv("AUTHAPP_DATABASE_URL_FILE", str(file))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert with_database.main(["shown"]) == 0
    assert capfd.readouterr().out.startswith("postgresql+psycopg2://authapp@/authapp?host=")
