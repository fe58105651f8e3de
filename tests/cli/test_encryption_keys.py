"""``flask keys encryption``: every server has a key before the first encrypts with it, and none that is needed goes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select

from authapp.cli.keys import keys as keys_command
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.factors.totp_factors import PURPOSE, TotpFactors
from authapp.models import AuditEvent, TotpFactor
from authapp.security.encryption_keys import EncryptionKey, EncryptionKeys
from authapp.security.encryption_rotation import role_of
from cli.invoking import data, invoke, refused, succeeded
from conftest import reconfigured
from factories import a_user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "encryption-keys.json"
    succeeded_quietly(CliRunner().invoke(keys_command, ["encryption", "generate", "--out", str(path)]))
    return path


def succeeded_quietly(result: Result) -> None:
    assert (result.exit_code, result.stdout) == (0, ""), result.output


def flask(app: Flask, path: Path, *arguments: str) -> Result:
    command, *rest = arguments
    return invoke(app, keys_command, "encryption", command, "--file", str(path), *rest)


def ring(path: Path) -> EncryptionKeys:
    return EncryptionKeys.from_json(path.read_text())


def roles(path: Path) -> list[str]:
    return [str(role_of(key, ring(path))) for key in ring(path)]


def events(app: Flask, event_type: str) -> list[dict[str, object]]:
    with app.app_context():
        found = select(AuditEvent.details).where(AuditEvent.type == event_type).order_by(AuditEvent.id)
        return list(db.session.scalars(found))


def test_a_key_is_generated_without_settings() -> None:
    printed = succeeded(CliRunner().invoke(keys_command, ["encryption", "generate"]))

    assert list(EncryptionKeys.problems(printed)) == []
    assert len([*EncryptionKeys.from_json(printed)]) == 1


def test_a_file_is_written_where_only_its_owner_reads_and_not_overwritten(path: Path) -> None:
    before = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600

    refused(CliRunner().invoke(keys_command, ["encryption", "generate", "--out", str(path)]), "not overwritten")
    assert path.read_text() == before


def test_the_first_rotation_adds_a_standby_key_and_encrypts_with_none(app: Flask, path: Path) -> None:
    first = ring(path).first.kid

    assert "rotate again" in succeeded(flask(app, path, "rotate"))

    assert ring(path).first.kid == first
    assert roles(path) == ["encrypts", "standby"]


def test_a_rotation_encrypts_with_what_every_server_has(app: Flask, path: Path) -> None:
    succeeded(flask(app, path, "rotate"))
    first, standby = (key.kid for key in ring(path))

    assert standby in succeeded(flask(app, path, "rotate"))

    assert [key.kid for key in ring(path)][:2] == [standby, first]
    assert roles(path) == ["encrypts", "decrypts", "standby"]
    (key,) = [row["kid"] for row in data(flask(app, path, "list", "--json")) if row["role"] == "standby"]
    assert events(app, EventType.KEY_ROTATED)[-1] == {"encrypts": standby, "standby": key}
    assert succeeded(flask(app, path, "list")).count("\n") == 3


def test_a_key_that_was_replaced_by_hand_does_not_encrypt_again(app: Flask, path: Path) -> None:
    old = ring(path).first
    chosen = {name: value for name, value in EncryptionKey.generate(0).jwk.items() if name != "iat"}
    path.write_text(json.dumps({"keys": [chosen, old.jwk]}))
    assert roles(path) == ["encrypts", "decrypts"], "which of the two is newer, nobody knows"
    for _ in range(2):
        succeeded(flask(app, path, "rotate"))
    assert [key.kid for key in ring(path)][1:3] == [chosen["kid"], old.kid]
    assert roles(path) == ["encrypts", "decrypts", "decrypts", "standby"]


def test_many_rotations_in_one_second_keep_their_order(app: Flask, path: Path) -> None:
    for _ in range(4):
        standby = [key.kid for key in ring(path)][-1]
        succeeded(flask(app, path, "rotate"))
        assert ring(path).first.kid == standby
        assert roles(path)[0] == "encrypts"
        assert roles(path).count("standby") == 1


def test_a_key_that_is_needed_is_not_retired_and_the_whole_way_loses_nothing(
    app: Flask, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, old = a_user(app), ring(path)
    with app.app_context(), transaction():
        secret = TotpFactors(old, "x").begin(user.id)
    for _ in range(2):
        succeeded(flask(app, path, "rotate"))
    refused(flask(app, path, "retire", "--", old.first.kid), old.first.kid, "flask keys reencrypt")
    assert succeeded(flask(app, path, "retire")) == "No key can be removed.\n"

    reconfigured(app, monkeypatch, encryption_keys=path.read_text())
    succeeded(invoke(app, keys_command, "reencrypt"))
    assert succeeded(flask(app, path, "retire")) == f"Retired {old.first.kid}.\n"

    assert roles(path) == ["encrypts", "standby"]
    assert events(app, EventType.KEY_RETIRED) == [{"keys": [old.first.kid]}]
    with app.app_context():
        row = db.session.execute(select(TotpFactor.key_id, TotpFactor.secret).filter_by(user_id=user.id)).one()
    assert ring(path).decrypt(row.key_id, row.secret, PURPOSE, user.id) == secret


def test_the_key_that_encrypts_is_not_retired(app: Flask, path: Path) -> None:
    refused(flask(app, path, "retire", "--", ring(path).first.kid), "this key encrypts")
    refused(flask(app, path, "retire", "--", EncryptionKey.generate(0).kid), "no such key")


@pytest.mark.parametrize("content", ["", "\udcff", '{"keys": []}'])
def test_a_file_that_is_no_ring_is_named(app: Flask, path: Path, content: str) -> None:
    path.write_bytes(content.encode(errors="surrogateescape"))

    for command in ("list", "rotate", "retire"):
        refused(flask(app, path, command), str(path))
