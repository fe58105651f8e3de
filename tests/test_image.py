"""What the Dockerfile says of the image: it runs as any uid, and on one base. No test builds it."""

import re
from pathlib import Path

DOCKERFILE = (Path(__file__).resolve().parent.parent / "deploy" / "docker" / "Dockerfile").read_text()


def test_the_image_runs_as_any_uid() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert user
    assert int(user[1]) > 10_000, "a number, and none of a node's own accounts"
    for line in re.findall(r"^COPY (.+)$", final, re.MULTILINE):
        assert line.startswith(("--from=build ", "--chmod=0555 ")), "else it has the modes of whoever builds"
    assert "--chown" not in final, "whoever runs it owns nothing"


def test_both_stages_are_of_one_base_whose_digest_if_there_is_one_is_whole() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?$", DOCKERFILE, re.MULTILINE)
