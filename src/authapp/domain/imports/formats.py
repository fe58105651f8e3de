"""The fields of other systems' accounts, translated to those of an import; one function for each system.

Each takes one object of that system's export, and the parameters of its hashes if it has any; and returns an object as
``ImportedAccount.read`` takes it. Each may raise ``ValueError``, ``KeyError``, ``TypeError`` or ``AttributeError``.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from authapp.security.foreign_hashes import argon2_hash, firebase_hash, pbkdf2_hash

_UNKNOWN = "The password hash has no known format."

Record = Mapping[str, Any]
Translate = Callable[[Record, Record], dict[str, Any]]


def _django(record: Record, _: Record) -> dict[str, Any]:
    """Translate an object of ``manage.py dumpdata --format jsonl auth.user``, or its ``fields`` alone."""
    user = record.get("fields", record)
    usable = user["password"] and not user["password"].startswith("!")
    return _without_null(
        username=user["username"],
        email=user["email"],
        password_hash=user["password"] if usable else None,
        status=_status(disabled=not user.get("is_active", True)),
        created_at=user.get("date_joined"),
    )


def _laravel(record: Record, _: Record) -> dict[str, Any]:
    return _without_null(
        username=record.get("username"),
        email=record["email"],
        email_verified=record.get("email_verified_at") is not None,
        password_hash=record["password"],
        created_at=record.get("created_at"),
    )


def _supabase(record: Record, _: Record) -> dict[str, Any]:
    """Translate a row of ``auth.users``."""
    return _without_null(
        id=record["id"],
        email=record["email"],
        email_verified=record.get("email_confirmed_at") is not None,
        password_hash=record.get("encrypted_password") or None,
        status=_status(disabled=record.get("banned_until") is not None),
        created_at=record.get("created_at"),
    )


def _better_auth(record: Record, _: Record) -> dict[str, Any]:
    """Translate a row of ``user`` with the ``password`` of its ``account``."""
    return _without_null(
        id=_uuid(record.get("id")),
        username=record.get("username"),
        email=record["email"],
        email_verified=bool(record.get("emailVerified")),
        password_hash=record.get("password"),
        status=_status(disabled=bool(record.get("banned"))),
        created_at=record.get("createdAt"),
    )


def _auth0(record: Record, _: Record) -> dict[str, Any]:
    """Translate an object of the export of password hashes."""
    return _without_null(
        username=record.get("username"),
        email=record["email"],
        email_verified=bool(record.get("email_verified")),
        password_hash=record.get("passwordHash"),
        status=_status(disabled=bool(record.get("blocked"))),
    )


def _firebase(record: Record, hash_config: Record) -> dict[str, Any]:
    """Translate one of ``users`` in what ``firebase auth:export`` wrote."""
    stored = record.get("passwordHash")
    if stored:
        stored = firebase_hash(
            stored,
            record["salt"],
            signer_key=hash_config["base64_signer_key"],
            separator=hash_config["base64_salt_separator"],
            rounds=int(hash_config["rounds"]),
            mem_cost=int(hash_config["mem_cost"]),
        )
    return _without_null(
        email=record["email"],
        email_verified=bool(record.get("emailVerified")),
        password_hash=stored or None,
        status=_status(disabled=bool(record.get("disabled"))),
        created_at=_from_milliseconds(record.get("createdAt")),
    )


def _keycloak(record: Record, _: Record) -> dict[str, Any]:
    """Translate one of ``users`` in the export of a realm."""
    passwords = [item for item in record.get("credentials", ()) if item["type"] == "password"]
    return _without_null(
        id=_uuid(record.get("id")),
        username=record.get("username"),
        email=record["email"],
        email_verified=bool(record.get("emailVerified")),
        password_hash=_keycloak_hash(passwords[0]) if passwords else None,
        status=_status(disabled=not record.get("enabled", True)),
        created_at=_from_milliseconds(record.get("createdTimestamp")),
    )


def _keycloak_hash(credential: Record) -> str:
    secret, data = json.loads(credential["secretData"]), json.loads(credential["credentialData"])
    if data["algorithm"] != "argon2":
        digest = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}.get(data["algorithm"])
        if digest is None:
            raise ValueError(_UNKNOWN)
        return pbkdf2_hash(digest, int(data["hashIterations"]), secret["salt"], secret["value"])
    parameters = {name: values[0] for name, values in data["additionalParameters"].items()}
    version = {"1.0": 16, "1.3": 19}.get(parameters["version"])
    if version is None:
        raise ValueError(_UNKNOWN)
    return argon2_hash(
        parameters["type"],
        version=version,
        memory_kib=int(parameters["memory"]),
        time_cost=int(data["hashIterations"]),
        parallelism=int(parameters["parallelism"]),
        salt=secret["salt"],
        hashed=secret["value"],
    )


def _without_null(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _status(*, disabled: bool) -> str:
    return "disabled" if disabled else "active"


def _uuid(text: object) -> str | None:
    """Return ``text`` if it is a UUID: other ids cannot be kept."""
    try:
        return str(UUID(str(text)))
    except ValueError:
        return None


def _from_milliseconds(value: str | int | None) -> str | None:
    return None if value is None else datetime.fromtimestamp(int(value) / 1000, UTC).isoformat()


FORMATS: Mapping[str, Translate] = {
    "authapp": lambda record, _: dict(record),
    "auth0": _auth0,
    "better-auth": _better_auth,
    "django": _django,
    "firebase": _firebase,
    "keycloak": _keycloak,
    "laravel": _laravel,
    "supabase": _supabase,
}
"""The systems, by the name of ``flask users import --from``."""


def translated(record: Record, system: str, hash_config: Record) -> dict[str, Any]:
    """Return the fields of an import. Raises ``ValueError``, with a sentence, if those of ``system`` are missing."""
    try:
        return FORMATS[system](record, hash_config)
    except KeyError as error:
        raise ValueError(f"It has no {error.args[0]}.") from None
    except (AttributeError, TypeError, OverflowError, RecursionError, json.JSONDecodeError):
        raise ValueError(f"It has not the fields of {system}.") from None
