"""The words of an operation in the OpenAPI document: a short summary, and a description that says what it needs."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from flask_smorest.utils import load_info_from_docstring

from authapp.api.guards import AccessLevel, Guard
from authapp.errors import Refusal, StepUpRequired

_NEEDS = {
    AccessLevel.PUBLIC: "Needs no authentication.",
    AccessLevel.ACCESS: "Needs authentication.",
    AccessLevel.REFRESH: "Needs a refresh token, in the body; an `Authorization` header is then ignored. Without a "
    "body, the refresh token may be the bearer token in that header.",
}

_BADGES = {AccessLevel.PUBLIC: "guest", AccessLevel.ACCESS: "access token", AccessLevel.REFRESH: "refresh token"}
_CONDITIONAL = "step-up in some cases"


def words_of(view: Callable[..., Any], guard: Guard) -> dict[str, str]:
    """Return the summary and the description of a view, from its docstring, its ``doc`` decorator and its guard.

    A summary is a name, for tools that list operations by it: neither the full stop of its docstring nor Markdown.
    """
    words = load_info_from_docstring(view.__doc__) if view.__doc__ else {}
    words |= {name: text for name, text in _documented(view).items() if name in {"summary", "description"}}
    summary = words.get("summary", view.__name__.replace("_", " ").capitalize())
    description = [words.get("description"), " ".join(_needs(guard))]
    return {
        "summary": " ".join(summary.replace("`", "").split()).removesuffix("."),
        "description": "\n\n".join(filter(None, description)),
    }


def badges_of(guard: Guard, refusals: Collection[type[Refusal]]) -> list[str]:
    """Return what the docs page shows on an operation: its access level, and what it requires, in a few words each.

    ``refusals`` are those of the view: one that asks for a step-up although no requirement does depends on the request.
    """
    badges = [getattr(each, "badge", None) for each in guard.requirements]
    is_conditional = StepUpRequired in refusals and not any(
        StepUpRequired in each.refusals for each in guard.requirements
    )
    return [_BADGES[guard.level], *filter(None, badges), *([_CONDITIONAL] if is_conditional else [])]


def _documented(view: Callable[..., Any]) -> dict[str, Any]:
    documented: dict[str, Any] = getattr(view, "_apidoc", {}).get("manual_doc", {})
    return documented


def _needs(guard: Guard) -> Iterator[str]:
    if guard.requirements:
        yield from (requirement.description for requirement in guard.requirements)
    else:
        yield _NEEDS[guard.level]
