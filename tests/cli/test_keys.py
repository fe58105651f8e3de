"""``flask keys generate`` makes keys without an application, and so without settings."""

import json
from pathlib import Path

import pytest

from authapp.security.key_generation import GENERATORS
from authapp.security.keys import KeyRing
from cli.invoking import flask_keys, misused, refused, succeeded


@pytest.mark.parametrize("alg", GENERATORS)
def test_a_key_is_generated_for_each_algorithm(alg: str) -> None:
    printed = succeeded(flask_keys("generate", "--alg", alg))

    assert list(KeyRing.problems(printed)) == []
    assert [key.alg for key in KeyRing.from_json(printed)] == [alg]
    assert {"kid", "alg", "use"} < json.loads(printed)["keys"][0].keys()


def test_the_default_is_es256_and_every_key_is_new() -> None:
    made = [KeyRing.from_json(succeeded(flask_keys("generate"))).signing for _ in range(3)]

    assert {key.alg for key in made} == {"ES256"}
    assert len({key.kid for key in made}) == 3


def test_a_key_is_written_where_only_its_owner_reads(tmp_path: Path) -> None:
    out = tmp_path / "keys.json"

    result = flask_keys("generate", "--out", str(out))

    key = KeyRing.from_json(out.read_text()).signing
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Wrote {out} with the key {key.kid}.\n"
    assert out.stat().st_mode & 0o777 == 0o600
    assert key.jwk["d"] not in result.output


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "keys.json"
    out.write_text("mine")

    refused(flask_keys("generate", "--out", str(out)), str(out), "not overwritten")

    assert out.read_text() == "mine"


@pytest.mark.parametrize("path", ["missing/keys.json", "file/keys.json"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    out = str(tmp_path / path)

    refused(flask_keys("generate", "--out", out), out, "cannot be written")


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    refused(flask_keys("generate", "--out", str(tmp_path)), str(tmp_path))


@pytest.mark.parametrize(
    "arguments", [["generate", "--alg", "none"], ["generate", "--alg", "RS512"], ["generate", "x"]]
)
def test_misuse_explains_the_usage(arguments: list[str]) -> None:
    misused(flask_keys(*arguments))
