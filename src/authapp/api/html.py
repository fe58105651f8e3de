"""HTML pages: their templates, and their headers."""

from functools import cache
from pathlib import Path
from types import MappingProxyType

from flask import Response
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader

from authapp.templating import TemplateEnvironment

STRICT_POLICY = MappingProxyType(
    {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
)
"""A Content-Security-Policy (CSP Level 3): everything comes from this server, and nothing is inline."""


@cache
def templates(overrides: Path | None = None) -> Environment:
    """Return the templates of the package. A file of the same name in the folder ``overrides`` replaces one.

    They are not Flask's: in an application of somebody else, a template of its own with the same name would win. They
    are kept, because to compile them anew for each page takes a tenth of the start of a worker.
    """
    folders = [FileSystemLoader(overrides)] if overrides else []
    return TemplateEnvironment(ChoiceLoader([*folders, PackageLoader("authapp", "api/templates")]))


def html(text: str, **policy: str) -> Response:
    """Return an HTML page with a strict Content-Security-Policy, in which ``policy`` replaces directives.

    A name in ``policy`` has ``_`` for ``-``, such as ``style_src``.
    """
    directives = {**STRICT_POLICY, **{name.replace("_", "-"): value for name, value in policy.items()}}
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in directives.items())
    # A page may be opened with a secret in its address, and no other server is to learn the address.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
