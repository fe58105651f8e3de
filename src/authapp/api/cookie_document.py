"""What the OpenAPI document says of the refresh token in a cookie, where that is switched on."""

from typing import Any

from authapp.api.authenticate import RefreshCookie
from authapp.api.cors import COOKIE_HEADER
from authapp.api.guards import AccessLevel, View, guard_of
from authapp.api.refresh_cookie import COOKIE
from authapp.errors import OriginNotAllowed, Refusal

_SCHEME = "refreshCookie"
_PAIR = {"$ref": "#/components/schemas/TokenPair"}
_ASK: dict[str, Any] = {
    "name": COOKIE_HEADER,
    "in": "header",
    "schema": {"type": "string", "enum": ["1"]},
    "description": "For browsers: the refresh token is, or shall be, in the cookie.",
}
_SET_COOKIE: dict[str, Any] = {
    "schema": {"type": "string"},
    "description": f"`{COOKIE}`, if `{COOKIE_HEADER}` was sent.",
}


def describe_components(components: dict[str, Any]) -> None:
    """Add the cookie to the components of the document, and say that the body may lack the refresh token."""
    description = f"The refresh token of a browser. `{COOKIE_HEADER}: 1` and a listed `Origin` are needed with it."
    scheme = {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": description}
    components["securitySchemes"][_SCHEME] = scheme
    components["schemas"]["TokenPair"]["required"].remove("refresh_token")


def clears_cookie(view: View) -> View:
    """Document that a view that does not take the cookie clears it, if it is asked to."""
    view.clears_cookie = True  # type: ignore[attr-defined]  # functions take any
    return view


def describe(operation: dict[str, Any], view: View) -> set[type[Refusal]]:
    """Add the cookie to the operation of a view that takes, sets or clears it. Return what refuses it for that."""
    guard = guard_of(view)
    takes_it = guard.level is AccessLevel.REFRESH or any(
        isinstance(each, RefreshCookie) for each in guard.authenticators
    )
    gives_it = [response for response in operation["responses"].values() if _is_pair(response)]
    if takes_it or gives_it or hasattr(view, "clears_cookie"):
        operation.setdefault("parameters", []).append(_ASK)
    for response in gives_it:
        response.setdefault("headers", {})["Set-Cookie"] = _SET_COOKIE
    if not takes_it:
        return set()
    operation["security"] = [*(operation["security"] or [{}]), {_SCHEME: []}]
    operation.get("requestBody", {}).pop("required", None)
    return {OriginNotAllowed}


def _is_pair(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return _PAIR in (schema, *schema.get("oneOf", ()))
