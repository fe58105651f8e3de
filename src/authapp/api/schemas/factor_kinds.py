"""What the kinds of factors make of the API: the list of one's own factors, and their names in the OpenAPI document."""

from functools import lru_cache
from typing import Any

from marshmallow import Schema, fields, post_dump

from authapp.domain.factors.kinds import FactorKind, factor_kinds, second_steps

factor_members: dict[str, "fields.Field[Any]"] = {}
"""How the members of our kinds are dumped, by the names of the kinds, each set beside its schemas.

Others are dumped as they are, and have a ``FactorKind.member_schema``.
"""


class FactorsSchema(Schema):
    """What an account can be logged in to with."""

    @post_dump(pass_original=True)
    def dump_members(self, _data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the members of the kinds that are registered by now."""
        members: dict[str, Any] = _members(tuple(factor_kinds.items())).dump(original)
        return members


def describe_kinds(schemas: dict[str, Any], converter: Any) -> None:
    """Add the kinds that are registered by now to the schemas of a document: their names, and their members."""
    for name in ("SecondFactor", "StepUp"):
        if (schema := schemas.get(name)) is not None:
            schema["properties"]["factor"]["enum"] = list(second_steps())
    if (schema := schemas.get("Factors")) is None:
        return
    described = converter.fields2jsonschema(_members(tuple(factor_kinds.items())).fields)
    others = {kind.member or name: kind.member_schema for name, kind in factor_kinds.items() if kind.member_schema}
    schema["properties"] = {**described["properties"], **others}
    schema["required"] = sorted(schema["properties"])


@lru_cache(maxsize=1)
def _members(kinds: tuple[tuple[str, FactorKind], ...]) -> Schema:
    found = {kind.member or name: factor_members.get(name) or fields.Raw() for name, kind in kinds}
    schema: Schema = Schema.from_dict(found, name="FactorMembers")()
    return schema
