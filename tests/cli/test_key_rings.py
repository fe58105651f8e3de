"""``flask keys`` lists, rotates and retires the keys of a file; what it changes, it notes."""

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from authapp import clock
from authapp.cli.keys import RELOAD_MARGIN, keys
from authapp.database.session import db
from authapp.domain.audit import EventType
from authapp.models import AuditEvent
from authapp.security.keys import KeyRing
from cli.invoking import data, flask_keys, invoke, misused, refused, succeeded

NOW = datetime(2026, 1, 1, tzinfo=UTC)


NEEDED = timedelta(seconds=2_592_000 + 5 + RELOAD_MARGIN)
"""How long a key that signed is kept: the longest life of a token, the leeway, and the time until the reload."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ring with one key, as ``generate`` makes it, in a world where time stands still."""
    stand_at(monkeypatch, NOW)
    path = tmp_path / "keys.json"
    assert flask_keys("generate", "--out", str(path)).exit_code == 0
    return path


def stand_at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)


def rotate(app: Flask, file: Path, *arguments: str) -> Result:
    return invoke(app, keys, "rotate", "--file", str(file), *arguments)


def retire(app: Flask, file: Path, *arguments: str) -> Result:
    return invoke(app, keys, "retire", "--file", str(file), *arguments)


def listed(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = data(flask_keys("list", "--json", "--file", str(file)))
    return rows


def kids(file: Path) -> dict[str, str]:
    """Return the key of each role; there is one key of each in these tests."""
    return {row["role"]: row["kid"] for row in listed(file)}


def test_a_ring_of_one_is_listed(file: Path) -> None:
    key = KeyRing.from_json(file.read_text()).signing

    assert succeeded(flask_keys("list", "--file", str(file))) == f"{key.kid}  ES256  signs   \n"
    row = {"kid": key.kid, "alg": "ES256", "role": "signs", "created_at": clock.rfc3339(NOW), "needed_until": None}
    assert listed(file) == [row]


def test_the_file_is_that_of_the_server_unless_another_is_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    flask_keys("generate", "--out", str(other))
    environment = {"AUTHAPP_JWT_KEYS_FILE": str(file)}

    ours = CliRunner().invoke(keys, ["list", "--json"], env=environment)
    named = CliRunner().invoke(keys, ["list", "--json", "--file", str(other)], env=environment)

    assert data(ours) == listed(file)
    assert data(named) == listed(other)


def test_the_first_rotation_makes_a_standby_and_the_same_key_signs(app: Flask, file: Path) -> None:
    signing = kids(file)["signs"]

    printed = succeeded(rotate(app, file, "--alg", "EdDSA"))

    assert "There was no standby key: reload the servers, and rotate again" in printed
    assert printed.endswith(f"{kids(file)['standby']} is the standby key.\n")
    assert [(row["alg"], row["role"], row["created_at"]) for row in listed(file)] == [
        ("ES256", "signs", clock.rfc3339(NOW)),
        ("EdDSA", "standby", clock.rfc3339(NOW + timedelta(seconds=1))),
    ]
    assert kids(file)["signs"] == signing


def test_the_second_rotation_lets_the_standby_sign_and_keeps_the_old_key_while_its_tokens_live(
    app: Flask, file: Path
) -> None:
    rotate(app, file)
    before = kids(file)

    printed = succeeded(rotate(app, file))

    after = kids(file)
    assert printed == f"{before['standby']} signs after the next reload.\n{after['standby']} is the standby key.\n"
    assert (after["signs"], after["verifies"]) == (before["standby"], before["signs"])
    assert after["standby"] not in before.values()
    until = clock.rfc3339(NOW + NEEDED)
    assert [row["needed_until"] for row in listed(file)] == [None, until, None]
    printed = succeeded(flask_keys("list", "--file", str(file)))
    assert f"{after['verifies']}  ES256  verifies  needed until {until}\n" in printed


def test_a_rotation_keeps_the_file_private_and_shows_no_secret(app: Flask, file: Path) -> None:
    results = [rotate(app, file), rotate(app, file), flask_keys("list", "--json", "--file", str(file))]

    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    for key in KeyRing.from_json(file.read_text()):
        assert [result.output for result in results if key.jwk["d"] in result.output] == []


def test_only_what_no_token_needs_any_more_is_retired(app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotate(app, file)
    rotate(app, file)
    before = kids(file)

    assert succeeded(retire(app, file)) == "No key has expired.\n"
    stand_at(monkeypatch, NOW + NEEDED - timedelta(seconds=1))
    assert succeeded(retire(app, file)) == "No key has expired.\n"
    assert kids(file) == before

    stand_at(monkeypatch, NOW + NEEDED)
    assert kids(file)["expired"] == before["verifies"]
    assert succeeded(retire(app, file)) == f"Retired {before['verifies']}.\n"
    assert kids(file) == {"signs": before["signs"], "standby": before["standby"]}


def test_an_expired_key_is_retired_by_name(app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotate(app, file)
    rotate(app, file)
    stand_at(monkeypatch, NOW + timedelta(days=31))
    old = kids(file)["expired"]

    assert succeeded(retire(app, file, "--", old)) == f"Retired {old}.\n"

    assert old not in kids(file).values()


def test_a_standby_key_has_signed_nothing_and_goes_without_force(app: Flask, file: Path) -> None:
    rotate(app, file)
    standby = kids(file)["standby"]
    assert succeeded(retire(app, file, "--", standby)) == f"Retired {standby}.\n"
    assert "standby" not in kids(file)


def test_a_key_whose_tokens_may_be_alive_is_retired_by_force_alone(app: Flask, file: Path) -> None:
    role = "verifies"
    rotate(app, file)
    rotate(app, file)
    before = kids(file)
    text = file.read_text()

    refused(retire(app, file, "--", before[role]), "--force")
    assert file.read_text() == text

    printed = succeeded(retire(app, file, "--force", "--", before[role]))
    assert printed == f"Retired {before[role]}.\n"
    assert kids(file) == {name: kid for name, kid in before.items() if name != role}


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_neither_the_key_that_signs_nor_one_that_is_not_there_is_retired(
    app: Flask, file: Path, force: list[str]
) -> None:
    text = file.read_text()
    signing = kids(file)["signs"]

    refused(retire(app, file, *force, "--", signing))
    refused(retire(app, file, *force, "--", "another"), "another", "no such key")

    assert file.read_text() == text


def commands(file: Path) -> list[list[str]]:
    return [[command, "--file", str(file)] for command in ("list", "rotate", "retire")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"mine",
        b"\xff\xfe",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [{"kty": "EC"}]}',
        b'{"keys": [5, null]}',
        b'{"keys": ' + b"[" * 100_000,
    ],
)
def test_a_file_that_holds_no_ring_is_reported_in_one_line_and_left_alone(
    app: Flask, file: Path, content: bytes
) -> None:
    file.write_bytes(content)

    for command in commands(file):
        refused(invoke(app, keys, *command), str(file))

    assert file.read_bytes() == content


@pytest.mark.parametrize("issued_at", [10**12, 10**15, 10**30, -1, -(10**15), 1.5, "now", None])
def test_a_date_beyond_the_calendar_is_no_accident(app: Flask, file: Path, issued_at: object) -> None:
    ring = json.loads(file.read_text())
    ring["keys"][0]["iat"] = issued_at
    file.write_text(json.dumps(ring))

    for command in commands(file):
        refused(invoke(app, keys, *command), str(file), "is no date")


def test_a_file_that_cannot_be_read_is_reported_in_one_line(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By hand, for root reads everything.
    def denied(_path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_text", denied)

    for command in commands(file):
        refused(invoke(app, keys, *command), f"{file} cannot be read: Permission denied.")


def test_what_could_not_be_written_is_not_reported_as_done(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(app, file)
    rotate(app, file)
    stand_at(monkeypatch, NOW + timedelta(days=31))
    text = file.read_text()

    monkeypatch.setattr("authapp.cli.key_rings.replace_private", full)
    for command in ("retire", "rotate"):
        result = invoke(app, keys, command, "--file", str(file))
        refused(result, f"{file} cannot be written: No space left on device.")

    assert file.read_text() == text


@pytest.mark.parametrize("command", ["list", "rotate", "retire"])
def test_a_command_without_a_file_explains_its_usage(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("AUTHAPP_JWT_KEYS_FILE", raising=False)

    misused(invoke(app, keys, command))
    misused(invoke(app, keys, command, "--file", str(tmp_path / "missing.json")))
    misused(invoke(app, keys, command, "--file", str(tmp_path)))


@pytest.mark.parametrize("arguments", [["rotate", "--alg", "none"], ["retire", "a", "b"], ["list", "x"]])
def test_misuse_of_a_ring_explains_the_usage(app: Flask, file: Path, arguments: list[str]) -> None:
    misused(invoke(app, keys, *arguments, "--file", str(file)))


def events(app: Flask) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def rotations(app: Flask) -> list[dict[str, Any]]:
    return [event.details for event in events(app) if event.type == EventType.KEY_ROTATED]


def retirements(app: Flask) -> list[dict[str, Any]]:
    return [event.details for event in events(app) if event.type == EventType.KEY_RETIRED]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def down(*_: object) -> None:
    raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))


def test_a_rotation_is_in_the_audit_trail_and_so_is_that_one_failed(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(app, file)
    after = kids(file)
    done = {"signs": after["signs"], "standby": after["standby"]}
    assert rotations(app) == [done]

    monkeypatch.setattr("authapp.cli.key_rings.replace_private", full)
    refused(rotate(app, file), "cannot be written")
    _, tried, failed = rotations(app)
    assert tried["signs"] == after["standby"]
    assert failed == {**tried, "failed": True}


def test_a_rotation_that_cannot_be_recorded_does_not_happen(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = file.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(db.session, "commit", down)
        refused(rotate(app, file), "The database cannot be asked")
    assert file.read_text() == text
    assert rotations(app) == []


def test_what_the_operator_reads_is_what_failed_first(app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_and_down(*_: object) -> None:
        monkeypatch.setattr(db.session, "commit", down)
        full()

    monkeypatch.setattr("authapp.cli.key_rings.replace_private", full_and_down)
    refused(rotate(app, file), "cannot be written: No space left on device.")
    monkeypatch.undo()
    (tried,) = rotations(app)
    assert "failed" not in tried


def test_a_retirement_is_in_the_audit_trail_with_whether_tokens_died(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        rotate(app, file)
    in_use = [row["kid"] for row in listed(file) if row["role"] == "verifies"]
    retire(app, file)
    refused(retire(app, file, "--", in_use[0]), "--force")
    assert retirements(app) == []

    succeeded(retire(app, file, "--force", "--", in_use[0]))
    assert retirements(app) == [{"keys": in_use[:1], "forced": True}]

    stand_at(monkeypatch, NOW + timedelta(days=31))
    succeeded(retire(app, file, "--force"))
    assert retirements(app)[1:] == [{"keys": in_use[1:], "forced": False}]


def test_a_retirement_that_cannot_be_recorded_does_not_happen(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(app, file)
    text = file.read_text()
    monkeypatch.setattr(db.session, "commit", down)
    refused(retire(app, file, "--", kids(file)["standby"]), "The database cannot be asked")
    assert file.read_text() == text
