"""The console for administrators: one page and its scripts, which use the API as any other front end does.

Guests may load them, because they hold no data: the API guards all that the page shows.
"""

from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response

from authapp.api.guards import public
from authapp.api.html import html, templates
from authapp.api.page_files import STATIC, PageFiles
from authapp.config import Settings, origin_of
from authapp.domain.audit import event_types
from authapp.domain.roles.permissions import permissions


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
    return _files.response(name)


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
            event_types=sorted(event_types),
            permissions=sorted(permissions.items()),
        )
    )


def _find_files() -> dict[str, Path]:
    """Return the files by their names below ``/console/``."""
    folder = STATIC / "console"
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return {**found, "icon.svg": STATIC / "icon.svg"}


_files = PageFiles(_find_files)
