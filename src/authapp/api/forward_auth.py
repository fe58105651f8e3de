"""Blueprint ``forward_auth``: proxies ask whether to let a request through (nginx, Traefik, Caddy, Envoy)."""

from urllib.parse import quote

from flask import Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from authapp.api.authenticate import current_principal
from authapp.api.guards import View
from authapp.api.openapi import Blueprint
from authapp.api.responses import no_content
from authapp.domain.roles.permissions import scope_of
from authapp.shared_names import CODE

blueprint = Blueprint("forward_auth", __name__, description="For proxies")

_PLAIN = "".join(set(map(chr, range(0x21, 0x7F))) - {"%", ","})
_HEADERS = (
    *("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Roles", "X-Auth-Session-Id", "X-Auth-Email-Verified"),
    *("X-Auth-Amr", "X-Auth-Acr", "X-Auth-Time", "X-Auth-Api-Key-Id", "X-Auth-Scope"),
)


def _without_automatic_options(view: View) -> View:
    """Let the view answer OPTIONS too: a proxy would take the automatic answer, which needs no token, for a yes."""
    view.provide_automatic_options = False  # type: ignore[attr-defined]  # Flask's; flask-smorest drops the argument
    return view


@blueprint.get("/verify")
@blueprint.response(204, headers={name: {"schema": {"type": "string"}, "required": True} for name in _HEADERS})
@_without_automatic_options
def verify_request() -> Response:
    """Verify a request for a proxy.

    It is made for nginx's auth_request and for forward auth. A 204 lets the request through. Its headers hold the
    user's id, username, roles and session id, whether the email address is verified (`true` or `false`), and how the
    user was authenticated: by which methods (RFC 8176), with one factor or more (`sfa` or `mfa`), and when, in seconds
    since 1970. Of an API key, or a token that was issued for one, they hold its id, and the permissions that it has,
    between blanks. What is not ASCII in a name is percent-encoded UTF-8. Every method is answered, for proxies that ask
    with the client's own.
    """
    return _identified(no_content())


@blueprint.after_request
def _name_code(response: Response) -> Response:
    """Repeat the code of a refusal in a header: a proxy may not be able to hand on the body."""
    if CODE in request.environ:
        response.headers["X-Problem-Code"] = request.environ[CODE]
    return response


def verify_forwarded_request(original_path: str) -> Response:
    """Verify a request for Envoy, whose ext_authz appends the client's path, and takes nothing but 200 for a yes."""
    del original_path
    return _identified(Response(status=200))


@blueprint.record
def _answer_every_method(state: BlueprintSetupState) -> None:
    """Route every method to the verifier, since a proxy may ask with that of its client."""
    state.app.url_map.converters[_RestOfPath.__name__] = _RestOfPath
    name = f"{state.name_prefix}.{state.name}".lstrip(".")
    forwarded = f"{name}.{verify_forwarded_request.__name__}"
    state.app.view_functions[forwarded] = verify_forwarded_request
    paths = {
        "/verify": f"{name}.{verify_request.__name__}",
        f"/verify/<{_RestOfPath.__name__}:original_path>": forwarded,
    }
    for path, endpoint in paths.items():
        # A rule of Werkzeug without methods has every method; Flask's add_url_rule would make it GET.
        state.app.url_map.add(state.app.url_rule_class(f"{state.url_prefix}{path}", endpoint=endpoint))


class _RestOfPath(BaseConverter):
    """The rest of a path, empty ones and double slashes included."""

    regex = "(?s:.*?)"
    part_isolating = False


def _identified(response: Response) -> Response:
    principal = current_principal()
    values = (
        str(principal.id),
        _ascii(principal.username),
        ",".join(map(_ascii, principal.roles)),
        str(principal.session_id or ""),
        "false" if principal.email_verified_at is None else "true",
        ",".join(map(_ascii, principal.amr)),
        principal.acr if principal.amr else "",  # of an API key, nobody was authenticated
        "" if principal.auth_time is None else str(int(principal.auth_time.timestamp())),
        str(principal.api_key_id or ""),
        "" if principal.api_key_id is None else scope_of(principal.permissions),
    )
    response.headers.update(dict(zip(_HEADERS, values, strict=True)))
    return response


def _ascii(name: str) -> str:
    """Return ``name`` for a header: ASCII as it is, and the rest, ``%``, commas and control characters encoded."""
    return quote(name, safe=_PLAIN)
