"""Node.js and the packages of ``package.json``, which the tests need and nothing else does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.processes import ROOT

PACKAGES = ROOT / "node_modules"
NEEDED = ("openapi-typescript", "orval", "zod", "playwright-core", "axe-core", "oidc-provider")


def node(folder: Path, *command: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    """Run Node.js in ``folder``, which is given the packages, and return what it did."""
    return subprocess.run(
        background_node(folder, *command), cwd=folder, capture_output=True, text=True, timeout=timeout
    )


def background_node(folder: Path, *command: str) -> list[str]:
    """Return the command that runs Node.js in ``folder``, which is given the packages."""
    _require()
    packages = folder / PACKAGES.name
    if not packages.exists():
        packages.symlink_to(PACKAGES)
    return ["node", *command]


def _require() -> None:
    """Skip the test, or fail it in CI, if Node.js or a package is missing."""
    missing = [] if shutil.which("node") else ["Node.js"]
    missing += [name for name in NEEDED if not (PACKAGES / name).exists()]
    if not missing:
        return
    reason = f"{', '.join(missing)} is not installed: `npm ci` installs the packages."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
