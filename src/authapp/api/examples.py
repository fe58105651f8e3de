"""Examples in the OpenAPI document: a value for each body that has none, from the schema of the body."""

from collections.abc import Iterator
from typing import Any

_PREFIX = "#/components/schemas/"
_NONE = object()
"""There is no example: the schema contains itself, or is not among the components."""

_BY_FORMAT = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:30:00.000Z",
    "email": "ada@example.com",
    "ip": "192.0.2.1",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "09:30:00",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "url": "https://example.com/",
    "uuid": "019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77",
}


def add(schemas: dict[str, Any], operation: dict[str, Any]) -> None:
    """Add an example to the body of the request and of each successful response, unless it has one.

    ``schemas`` are those of the document's components. A field's own example is the first of its ``examples``.
    """
    sent = operation.get("requestBody", {})
    answered = (response for status, response in operation["responses"].items() if status.startswith("2"))
    for hidden, content in (("readOnly", sent), *(("writeOnly", response) for response in answered)):
        for media in content.get("content", {}).values():
            if "schema" in media and not media.keys() & {"example", "examples"}:
                value = _Examples(schemas, hidden).of(media["schema"])
                if value is not _NONE:
                    media["example"] = value


class _Examples:
    """Makes examples; properties that are ``hidden`` (``readOnly`` or ``writeOnly``) are left out."""

    def __init__(self, schemas: dict[str, Any], hidden: str) -> None:
        self._schemas = schemas
        self._hidden = hidden

    def of(self, schema: dict[str, Any], within: frozenset[str] = frozenset()) -> Any:
        """Return an example of ``schema``, or ``_NONE``; ``within`` are the schemas that contain it."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_PREFIX)
            if name in within or name not in self._schemas:
                return _NONE
            return self.of(self._schemas[name], within | {name})
        given = _given(schema)
        if given is not _NONE:
            return given
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            return next((value for value in self._each(choices, within) if value is not None), _NONE)
        if "allOf" in schema:
            return self._merged(schema["allOf"], within)
        return self._by_type(schema, within)

    def _each(self, schemas: list[dict[str, Any]], within: frozenset[str]) -> Iterator[Any]:
        return (value for each in schemas if (value := self.of(each, within)) is not _NONE)

    def _merged(self, schemas: list[dict[str, Any]], within: frozenset[str]) -> Any:
        values = list(self._each(schemas, within))
        if not values:
            return _NONE
        return {key: value for each in values for key, value in each.items()} if _are_objects(values) else values[0]

    def _by_type(self, schema: dict[str, Any], within: frozenset[str]) -> Any:
        match _type(schema):
            case "object":
                named = {
                    name: self.of(each, within)
                    for name, each in schema.get("properties", {}).items()
                    if not each.get(self._hidden)
                }
                return {name: value for name, value in named.items() if value is not _NONE}
            case "array":
                return list(self._each([schema.get("items", {})], within))
            case "string":
                return _BY_FORMAT.get(schema.get("format", ""), "string".ljust(schema.get("minLength", 0), "."))
            case "integer" | "number":
                return schema.get("minimum", schema.get("maximum", 1))
            case "boolean":
                return True
        return None


def _given(schema: dict[str, Any]) -> Any:
    """Return a value that the schema itself names, or ``_NONE``."""
    for values in (schema.get("examples"), schema.get("enum")):
        if values:
            return values[0]
    return next((schema[name] for name in ("example", "const", "default") if schema.get(name) is not None), _NONE)


def _type(schema: dict[str, Any]) -> str | None:
    types = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(types, list):
        return next((each for each in types if each != "null"), None)
    return types


def _are_objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)
