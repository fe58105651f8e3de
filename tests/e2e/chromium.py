"""Tests that are written as scripts of Node.js, which drive Debian's Chromium."""

import json
import re
import shutil
from pathlib import Path

from e2e.node import node

HARNESS = Path(__file__).parent / "account_pages"
Outcomes = dict[str, str | None]
"""What failed in each test, by its name; ``None`` is a success."""


def names_in(script: Path) -> list[str]:
    """Return the names of the tests in a script."""
    return re.findall(r'^test\("(.+?)", ', script.read_text(), re.MULTILINE)


def scripts_of(folder: Path, *sources: Path) -> Path:
    """Copy the scripts of the harness and of ``sources`` into a folder, beside which the packages can be."""
    scripts = folder / "scripts"
    for source in (HARNESS, *sources):
        shutil.copytree(source, scripts, dirs_exist_ok=True)
    return scripts


def drive(scripts: Path, **settings: object) -> Outcomes:
    """Run the browser, and return what failed in each test."""
    ran = node(scripts, "drive.mjs", json.dumps(settings), timeout=240)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    outcomes: Outcomes = json.loads(ran.stdout)
    return outcomes
