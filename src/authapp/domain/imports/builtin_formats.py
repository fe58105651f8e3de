"""The systems that this package imports from; it is imported to register them."""

import json
from datetime import datetime
from typing import Any

from authapp import clock
from authapp.domain.imports.formats import ImportFormat, Record, import_formats, uuid_of
from authapp.models.user import is_username
from authapp.security.foreign_hashes import argon2_hash, firebase_hash, pbkdf2_hash, verifier

_UNKNOWN = "The password hash has no known format."


def _django(record: Record, _: Record) -> dict[str, Any]:
    """Translate an object of ``manage.py dumpdata --format jsonl auth.user``, or its ``fields`` alone."""
    user = record.get("fields", record)
    usable = user["password"] and not user["password"].startswith("!")
    return _without_null(
        id=_uuid(_django_id(record)),
        username=_usable(user.get("username")),
        # Where people log in by their address, it may be the username alone.
        email=user["email"] or user.get("username"),
        password_hash=user["password"] if usable else None,
        status=_status(disabled=not _flag("is_active", user.get("is_active", True))),
        created_at=user.get("date_joined"),
    )


def _laravel(record: Record, _: Record) -> dict[str, Any]:
    return _without_null(
        id=_uuid(record.get("id")),
        username=_usable(record.get("username")),
        email=record["email"],
        email_verified=_time("email_verified_at", record) is not None,
        password_hash=record["password"],
        created_at=record.get("created_at"),
    )


def _supabase(record: Record, _: Record) -> dict[str, Any]:
    """Translate a row of ``auth.users``."""
    return _without_null(
        id=record["id"],
        email=record["email"],
        email_verified=_time("email_confirmed_at", record) is not None,
        password_hash=record.get("encrypted_password") or None,
        status=_status(disabled=_is_in_future("banned_until", record)),
        created_at=record.get("created_at"),
    )


def _better_auth(record: Record, _: Record) -> dict[str, Any]:
    """Translate a row of ``user`` with the ``password`` of its ``account``."""
    is_banned = _flag("banned", record.get("banned"))
    if is_banned and _time("banExpires", record) is not None:
        is_banned = _is_in_future("banExpires", record)
    return _without_null(
        id=_uuid(record.get("id")),
        username=_usable(record.get("username")),
        email=record["email"],
        email_verified=_flag("emailVerified", record.get("emailVerified")),
        password_hash=record.get("password"),
        status=_status(disabled=is_banned),
        created_at=record.get("createdAt"),
    )


def _auth0(record: Record, _: Record) -> dict[str, Any]:
    """Translate an object of the export of password hashes."""
    return _without_null(
        username=_usable(record.get("username")),
        email=record["email"],
        email_verified=_flag("email_verified", record.get("email_verified")),
        password_hash=record.get("passwordHash"),
        status=_status(disabled=_flag("blocked", record.get("blocked"))),
    )


def _firebase(record: Record, hash_config: Record) -> dict[str, Any]:
    """Translate one of ``users`` in what ``firebase auth:export`` wrote."""
    hashed = record.get("passwordHash")
    return _without_null(
        email=record["email"],
        email_verified=_flag("emailVerified", record.get("emailVerified")),
        password_hash=_firebase_hash(hashed, record["salt"], hash_config) if hashed else None,
        status=_status(disabled=_flag("disabled", record.get("disabled"))),
        created_at=_from_milliseconds("createdAt", record.get("createdAt")),
    )


def _firebase_hash(hashed: str, salt: str, hash_config: Record) -> str:
    return firebase_hash(
        hashed,
        salt,
        signer_key=hash_config["base64_signer_key"],
        separator=hash_config["base64_salt_separator"],
        rounds=_integer(hash_config["rounds"]),
        mem_cost=_integer(hash_config["mem_cost"]),
    )


def _check_firebase_config(hash_config: Record) -> None:
    # Some hash with these parameters: that it could be verified shows that they can be used.
    verifier(_firebase_hash("A" * 86, "AA", hash_config))


def _keycloak(record: Record, _: Record) -> dict[str, Any]:
    """Translate one of ``users`` in the export of a realm."""
    passwords = [item for item in record.get("credentials", ()) if item["type"] == "password"]
    return _without_null(
        id=_uuid(record.get("id")),
        username=_usable(record.get("username")),
        email=record["email"],
        email_verified=_flag("emailVerified", record.get("emailVerified")),
        password_hash=_keycloak_hash(passwords[0]) if passwords else None,
        status=_status(disabled=not _flag("enabled", record.get("enabled", True))),
        created_at=_from_milliseconds("createdTimestamp", record.get("createdTimestamp")),
    )


def _keycloak_hash(credential: Record) -> str:
    secret, data = json.loads(credential["secretData"]), json.loads(credential["credentialData"])
    if data["algorithm"] != "argon2":
        digest = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}.get(data["algorithm"])
        if digest is None:
            raise ValueError(_UNKNOWN)
        return pbkdf2_hash(digest, _integer(data["hashIterations"]), secret["salt"], secret["value"])
    parameters = {name: values[0] for name, values in data["additionalParameters"].items()}
    version = {"1.0": 16, "1.3": 19}.get(parameters["version"])
    if version is None:
        raise ValueError(_UNKNOWN)
    return argon2_hash(
        parameters["type"],
        version=version,
        memory_kib=_integer(parameters["memory"]),
        time_cost=_integer(data["hashIterations"]),
        parallelism=_integer(parameters["parallelism"]),
        salt=secret["salt"],
        hashed=secret["value"],
    )


def _usable(username: Any) -> Any:
    """Return a username, or ``None`` instead of one that breaks our rule, such as an address.

    One is made of the address then, and the owner can log in by the address.
    """
    return None if isinstance(username, str) and not is_username(username) else username


def _id(record: Record) -> Any:
    return record.get("id")


def _django_id(record: Record) -> Any:
    return record.get("pk", record.get("id"))


def _auth0_id(record: Record) -> Any:
    return record["_id"]["$oid"] if "_id" in record else None


def _without_null(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _status(*, disabled: bool) -> str:
    return "disabled" if disabled else "active"


def _uuid(foreign_id: object) -> str | None:
    """Return the id if it is a UUID: others cannot be kept."""
    found = uuid_of(foreign_id)
    return None if found is None else str(found)


def _flag(field: str, value: Any) -> bool:
    # Text is never taken for true: "false" and "f", as databases write it, would be.
    if value not in (None, False, True):  # 0 and 1 are equal to these
        raise ValueError(f"{field}: Neither true nor false.")
    return bool(value)


def _time(field: str, record: Record) -> datetime | None:
    text = record.get(field)
    try:
        return None if text in (None, "") else clock.from_iso8601(text)
    except (TypeError, ValueError):
        raise ValueError(f"{field}: Not a time in the form of RFC 3339.") from None


def _is_in_future(field: str, record: Record) -> bool:
    time = _time(field, record)
    return time is not None and time > clock.now()


def _integer(value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("A cost of the hash is not a number.") from None


def _from_milliseconds(field: str, value: str | int | None) -> str | None:
    try:
        time = None if value is None else clock.from_timestamp(int(value) / 1000)
    except (ArithmeticError, OSError, ValueError):
        raise ValueError(f"{field}: Not a time in milliseconds.") from None
    return None if time is None else time.isoformat()


import_formats.register("authapp", ImportFormat(lambda record, _: dict(record)))
import_formats.register("auth0", ImportFormat(_auth0, foreign_id=_auth0_id))
import_formats.register("better-auth", ImportFormat(_better_auth, foreign_id=_id))
import_formats.register("django", ImportFormat(_django, foreign_id=_django_id))
import_formats.register(
    "firebase", ImportFormat(_firebase, _check_firebase_config, lambda record: record.get("localId"))
)
import_formats.register("keycloak", ImportFormat(_keycloak, foreign_id=_id))
import_formats.register("laravel", ImportFormat(_laravel, foreign_id=_id))
import_formats.register("supabase", ImportFormat(_supabase))
