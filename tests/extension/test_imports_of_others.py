"""What somebody's package adds to imports and exports, with the public names alone."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from authapp import (
    AccountPart,
    HashFormat,
    ImportFormat,
    PartTools,
    RequestContext,
    account_parts,
    export_sections,
    hash_formats,
    import_formats,
)
from cli.invoking import flask_users, refused, succeeded
from conftest import reconfigured
from factories import Api, problem

PASSWORD = "a password of Acme"


def digest(password: str, rounds: int) -> str:
    return hashlib.sha256(f"{rounds}{password}".encode()).hexdigest()


def read_hash(match: re.Match[str]) -> Callable[[str], bool]:
    rounds = int(match["rounds"])
    if rounds > 100:
        raise ValueError("The hash of Acme has more than 100 rounds.")
    return lambda password: hmac.compare_digest(digest(password, rounds), match["hash"])


def translate(record: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return {"email": record["mail"], "password_hash": f"acme${config['rounds']}${record['digest']}"}


def check_config(config: Mapping[str, Any]) -> None:
    if config["rounds"] < 1:
        raise ValueError("Its rounds are too few.")


POINTS: dict[UUID, int] = {}
"""What stands here for a table of theirs."""


def read_points(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("Not a number of points.")  # noqa: TRY004 - it is the error of a line
    return value


def store_points(points: Mapping[UUID, int], _context: RequestContext) -> None:
    POINTS.update(points)


def points_of(user_ids: Sequence[UUID]) -> dict[UUID, int]:
    return {user_id: POINTS[user_id] for user_id in user_ids if user_id in POINTS}


def loyalty(tools: PartTools) -> AccountPart:
    assert tools.settings.issuer
    return AccountPart(read=read_points, store=store_points, export=points_of, is_secret=True)


def notes_of(user_id: UUID) -> list[dict[str, str]]:
    return [{"owner": str(user_id), "body": "Buy milk."}]


@pytest.fixture(autouse=True)
def theirs() -> Iterator[None]:
    """What their module registers when it is imported."""
    import_formats.register("acme", ImportFormat(translate, check_config))
    hash_formats.register("acme", HashFormat(re.compile(r"acme\$(?P<rounds>\d+)\$(?P<hash>[0-9a-f]{64})"), read_hash))
    export_sections.register("notes", notes_of)
    account_parts.register("points", loyalty)
    yield
    import_formats.unregister("acme")
    hash_formats.unregister("acme")
    export_sections.unregister("notes")
    account_parts.unregister("points")
    POINTS.clear()


def acme_import(app: Flask, folder: Path, rounds: int, *records: object) -> Any:
    file, config = folder / "users.jsonl", folder / "config.json"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    config.write_text(json.dumps({"rounds": rounds}))
    return flask_users(app, "import", str(file), "--from", "acme", "--hash-config", str(config))


def test_an_account_of_their_system_logs_in_and_its_hash_becomes_ours(app: Flask, api: Api, tmp_path: Path) -> None:
    succeeded(acme_import(app, tmp_path, 7, {"mail": "ada@example.com", "digest": digest(PASSWORD, 7)}))

    problem(api.log_in("ada", "another password"), 401, "invalid_credentials")
    token = api.log_in("ada", PASSWORD).get_json()["access_token"]

    (note,) = api.get("/users/me/export", token).get_json()["notes"]
    assert note["body"] == "Buy milk."
    assert note["owner"] == api.get("/users/me", token).get_json()["id"]


def test_their_errors_are_named_as_ours(app: Flask, tmp_path: Path) -> None:
    records = ({"mail": "ada@example.com"}, {"mail": "ada@example.com", "digest": digest(PASSWORD, 101)}, [])

    result = acme_import(app, tmp_path, 101, *records)

    assert result.stderr.splitlines()[:3] == [
        "line 1: digest: Missing.",
        "line 2: password_hash: The hash of Acme has more than 100 rounds.",
        "line 3: The line must be one JSON object.",
    ]
    refused(acme_import(app, tmp_path, 0), "Its rounds are too few.")


def test_their_part_of_an_account_moves_with_it(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reconfigured(app, monkeypatch)  # as an application that is made after they registered
    file, plain, whole = (tmp_path / f"{name}.jsonl" for name in ("users", "plain", "whole"))
    file.write_text('{"email": "ada@example.com", "points": 7}\n{"email": "grace@example.com", "points": "many"}\n')

    result = flask_users(app, "import", str(file))

    assert result.stderr.splitlines()[0] == "line 2: points: Not a number of points."
    assert list(POINTS.values()) == [7]
    succeeded(flask_users(app, "export", "--out", str(plain)))
    succeeded(flask_users(app, "export", "--out", str(whole), "--with-secrets"))
    assert "points" not in plain.read_text()
    assert json.loads(whole.read_text())["points"] == 7


def test_no_section_replaces_one_of_ours() -> None:
    with pytest.raises(ValueError, match="it is one of activity, api_keys"):
        export_sections.register("sessions", notes_of)
