"""What an operation may refuse, and the responses that the OpenAPI document has for it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from authapp.api.errors import CONTENT_TYPE, problem_document, status_of
from authapp.api.guards import AccessLevel, Guard
from authapp.api.paths import BASE_PATH
from authapp.api.schemas.problems import ProblemSchema
from authapp.errors import (
    Invalid,
    MalformedRequest,
    PayloadTooLarge,
    Refusal,
    ServiceUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    TooMany,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

_BODY_REFUSALS = (MalformedRequest, UnsupportedMediaType, PayloadTooLarge, ValidationFailed)
_GUARD_REFUSALS = (TokenMissing, TokenInvalid, TokenExpired, TokenRevoked, ServiceUnavailable)
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_RETRY_AFTER: dict[str, Any] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}}


def refusals_of(view: Any, guard: Guard) -> set[type[Refusal]]:
    """Return what the marks of ``view``, its ``guard`` and its arguments may refuse."""
    named: Iterable[type[Refusal]] = getattr(view, "refusals", ())
    found = set(named)
    if getattr(view, "reads_body", False) or guard.level is AccessLevel.REFRESH:
        found.update(_BODY_REFUSALS)
    if getattr(view, "reads_query", False):
        found.add(ValidationFailed)
    if guard.level is not AccessLevel.PUBLIC:
        found.update(_GUARD_REFUSALS)
    for requirement in guard.requirements:
        found.update(requirement.refusals)
    if guard.limit:
        found.update((TooManyRequests, ServiceUnavailable))
    return found


def responses_of(refusals: Iterable[type[Refusal]], schema: Any = ProblemSchema) -> dict[str, Any]:
    """Return the responses of an operation to ``refusals``, by status; one status may stand for several codes."""
    by_status: dict[int, list[type[Refusal]]] = defaultdict(list)
    for refusal in sorted(refusals, key=lambda refusal: refusal.code):
        by_status[status_of(refusal)].append(refusal)
    return {str(status): _response(group, schema) for status, group in sorted(by_status.items())}


def add_responses(operation: dict[str, Any], refusals: Iterable[type[Refusal]]) -> None:
    """Add ``refusals`` to the responses of an ``operation`` of the document whose schemas are resolved."""
    for status, response in responses_of(refusals, _PROBLEM).items():
        present = operation["responses"].setdefault(status, response)
        examples = present["content"][CONTENT_TYPE]["examples"]
        for code, example in response["content"][CONTENT_TYPE]["examples"].items():
            if code not in examples:
                examples[code] = example
                present["description"] += f"\n- `{code}`: {example['value']['title']}"
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _response(refusals: list[type[Refusal]], schema: Any = ProblemSchema) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{refusal.code}`: {refusal.title}" for refusal in refusals),
        **({"headers": headers} if (headers := headers_of(refusals[0])) else {}),
        "content": {
            CONTENT_TYPE: {
                "schema": schema,
                "examples": {refusal.code: {"value": _example(refusal)} for refusal in refusals},
            }
        },
    }


def headers_of(refusal: type[Refusal]) -> dict[str, Any]:
    """Return the headers of the response to a refusal, as OpenAPI describes them."""
    if issubclass(refusal, Unauthenticated):
        return {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
    if issubclass(refusal, Unavailable):
        return _RETRY_AFTER
    if issubclass(refusal, TooMany):
        field = {"schema": {"type": "string"}, "description": "draft-ietf-httpapi-ratelimit-headers"}
        return {**_RETRY_AFTER, "RateLimit": field, "RateLimit-Policy": field}
    return {}


def _example(refusal: type[Refusal]) -> dict[str, Any]:
    return problem_document(
        refusal,
        instance=f"{BASE_PATH}/...",
        request_id="5f2c6f0e-6d0a-4c39-9a51-5a0f1b8f6c11",
        field_errors=[refusal.example] if issubclass(refusal, Invalid) else (),
        members=refusal.member_examples,
    )


LIMIT_OF_EVERY_ROUTE = {str(status_of(TooManyRequests)): _response([TooManyRequests], _PROBLEM)}
"""The response of Flask-Limiter. It is added when the library has resolved the schemas of all others."""
