"""What the Dockerfile says of the image: it runs as any uid, and on one base. No test builds it."""

import re
import tomllib
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()


def test_the_image_runs_as_any_uid() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert user
    assert int(user[1]) > 10_000, "a number, and none of a node's own accounts"
    for line in re.findall(r"^COPY (.+)$", final, re.MULTILINE):
        assert line.startswith(("--from=build ", "--chmod=0555 ")), "else it has the modes of whoever builds"
    assert "--chown" not in final, "whoever runs it owns nothing"


@pytest.mark.parametrize(
    ("folder", "base", "stages"), [("docker", r"python:3\.\d+-slim-\w+", 2), ("pgbouncer", r"debian:\w+-slim", 1)]
)
def test_each_stage_is_of_one_base_whose_digest_if_there_is_one_is_whole(folder: str, base: str, stages: int) -> None:
    dockerfile = (DEPLOY / folder / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) == ["${BASE}"] * stages
    assert re.search(rf"^ARG BASE={base}(@sha256:[0-9a-f]{{64}})?$", dockerfile, re.MULTILINE)
    makefile = (DEPLOY.parent / "Makefile").read_text()
    assert f" deploy/{folder}/Dockerfile" in makefile.partition("\nbase:")[2].partition("\n\n")[0]


def test_whatever_pip_gets_for_the_image_has_a_hash() -> None:
    commands = re.findall(r"/pip (.+?)(?: &&|$)", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
    got = [each for each in commands if "--require-hashes" not in each]
    assert len(commands) == 4
    assert all("--no-deps" in each and ("--no-build-isolation" in each or each.endswith(".whl")) for each in got)
    built_by = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["build-system"]["requires"]
    lines = (DEPLOY.parent / "requirements" / "build.in").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == built_by
