"""The console for administrators: one page and its scripts, which use the API as any other front end does.

Guests may load them, because they hold no data: the API guards all that the page shows.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, send_file

from authapp.api.guards import public
from authapp.api.html import html, templates
from authapp.config import Settings, origin_of
from authapp.domain.audit import event_types
from authapp.domain.factors.kinds import offered_second_factors
from authapp.domain.roles.permissions import permissions
from authapp.errors import ResourceNotFound


def blueprint(settings: Settings) -> Blueprint:
    """Return the page, which is rendered here, once, and the files that it loads."""
    text = _rendered(settings)
    console = Blueprint("console", __name__)

    @console.get("")
    @public
    def show_page() -> Response:
        # Trusted Types: a script that puts text into the page as HTML fails, in whichever browser knows them.
        return html(text, require_trusted_types_for="'script'", trusted_types="'none'")

    console.add_url_rule("/<path:name>", view_func=asset)
    return console


@public
def asset(name: str) -> Response:
    """Return one of the files that the page loads."""
    if (found := _assets().get(name)) is None:
        raise ResourceNotFound
    path, digest = found
    response = send_file(path, etag=digest)
    # Browsers keep a file and ask whether it is the same: modules of two versions never run together.
    response.headers["Cache-Control"] = "no-cache"
    return response


def _rendered(settings: Settings) -> str:
    party = settings.relying_party
    return (
        templates()
        .get_template("console/page.html")
        .render(
            # Another page may be at another address than the issuer's, and could not use the cookie there.
            cookie_origin=origin_of(urlsplit(settings.issuer)) if settings.refresh_cookie == "on" else "",
            passkey_hosts=party.hosts if party else [],
            password_resets=settings.mail_url is not None,
            factor_resets=bool(offered_second_factors(settings)),
            event_types=sorted(event_types),
            permissions=sorted(permissions.items()),
        )
    )


@cache
def _assets() -> dict[str, tuple[Path, str]]:
    """Return the path and the digest of each file, by its name below ``/console/``."""
    static = Path(str(files("authapp"))) / "api" / "static"
    folder = static / "console"
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    found["icon.svg"] = static / "icon.svg"
    return {name: (path, sha256(path.read_bytes()).hexdigest()) for name, path in found.items()}
