"""Small projects in folders of their own, and ``flask`` commands in them."""

import os
import subprocess
import sys
from pathlib import Path

from commands import run_module
from e2e.processes import ROOT, environment

WSGI = """\
from authapp import create_app

app = create_app(import_name=__name__)
"""
EXTENSION = """\
from datetime import timedelta
from types import SimpleNamespace

from flask import Blueprint, Flask
from authapp import AuthApp, PurposeRule, token_purposes

locked = Blueprint("locked", __name__)

app = Flask(__name__)
authapp = AuthApp(app)
authapp.register_blueprint(locked)
authapp.register_link_confirmation(
    SimpleNamespace(purpose=token_purposes.register("say_hello", PurposeRule(timedelta(hours=1))))
)


@app.cli.command("hello")
def hello():
    print("Hello from the project.")
"""
BOOKS = """\
from authapp import create_app, db
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from uuid import UUID


class Book(db.Model):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)


app = create_app(import_name=__name__)
"""


class Project:
    """A folder with a ``wsgi.py``, and the environment in which it runs."""

    def __init__(self, folder: Path, wsgi: str, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables
        (folder / "wsgi.py").write_text(wsgi)

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a Python module in the project, such as ``flask``."""
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def flask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a ``flask`` command."""
        return self.run("flask", *arguments)

    def run(self, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a Python module in the project."""
        return run_module(module, arguments, self.variables, self.folder)

    def succeed(self, *arguments: str) -> str:
        """Run a ``flask`` command which must succeed, and return what it printed."""
        result = self.flask(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout


def with_settings(database_url: str) -> dict[str, str]:
    """Return the environment of a project whose settings are good."""
    return environment(database_url, PYTHONPATH=str(ROOT / "src"))


def without_settings() -> dict[str, str]:
    """Return the environment of a project that nobody has set up."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHAPP_", "DATABASE_URL"))}
    return others | {"PYTHONPATH": str(ROOT / "src")}
