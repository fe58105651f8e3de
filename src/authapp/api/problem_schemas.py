"""The schemas of problems in the OpenAPI document: one for each code."""

from collections.abc import Iterable, Iterator
from typing import Any

from authapp.api.errors import CONTENT_TYPE, documentation
from authapp.errors import Refusal, catalogue

_SCHEMAS = "#/components/schemas/"


def narrow(schemas: dict[str, Any], responses: Iterable[dict[str, Any]]) -> None:
    """Give each problem response a schema that admits exactly the codes of its examples.

    ``schemas`` are those of the document's components; what the responses refer to is added to them. A client sees an
    unknown code as an error of its types, and the code decides which problem it is.
    """
    refusals = catalogue()
    for content in _problem_contents(responses):
        codes = [code for code in content.get("examples", ()) if code in refusals]
        if not codes:
            continue  # a response that a project describes itself
        schemas.update({_name(code): _schema(refusals[code]) for code in codes})
        references = [{"$ref": _SCHEMAS + _name(code)} for code in codes]
        content["schema"] = references[0] if len(references) == 1 else {"oneOf": references}


def list_codes(schemas: dict[str, Any]) -> None:
    """List every code in the schemas that hold any of them; to be called when all refusals are defined."""
    for name in {"Problem", "Explanation"} & schemas.keys():
        schemas[name]["properties"]["code"]["enum"] = list(catalogue())


def _problem_contents(responses: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for response in responses:
        if CONTENT_TYPE in (content := response.get("content", {})):
            yield content[CONTENT_TYPE]


def _name(code: str) -> str:
    return "".join(map(str.capitalize, code.split("_"))) + "Problem"


def _schema(refusal: type[Refusal]) -> dict[str, Any]:
    code = {"type": "string", "enum": [refusal.code]}
    return {
        "description": documentation(refusal).partition("\n")[0],
        "allOf": [
            {"$ref": f"{_SCHEMAS}Problem"},
            {"type": "object", "required": ["code"], "properties": {"code": code, **_members(refusal)}},
        ],
    }


def _members(refusal: type[Refusal]) -> dict[str, Any]:
    return {name: {**_SCHEMA_OF[type(value)], "examples": [value]} for name, value in refusal.member_examples.items()}


_SCHEMA_OF: dict[type, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    list: {"type": "array", "items": {"type": "string"}},
}
