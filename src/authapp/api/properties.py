"""What apispec says of marshmallow's fields, corrected: attribute functions of its converter."""

from typing import Any

from marshmallow import fields


def describe_enum(_converter: Any, _field: fields.Field[Any], ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the type of a property that lists strings, since apispec gives none for ``fields.Enum``."""
    listed = [each for each in ret.get("enum", ()) if each is not None]
    if not listed or "type" in ret or not all(isinstance(each, str) for each in listed):
        return {}
    return {"type": ["string", "null"] if None in ret["enum"] else "string"}


def describe_parameter(_converter: Any, _field: fields.Field[Any], ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the schema of a parameter without null: a query cannot have it, and here it means that there is none."""
    schema = dict(ret["schema"])
    if schema.get("default", ...) is None:
        del schema["default"]
        if isinstance(schema.get("type"), list):
            schema["type"] = next(each for each in schema["type"] if each != "null")
        if "enum" in schema:
            schema["enum"] = [each for each in schema["enum"] if each is not None]
    return {"schema": schema}
