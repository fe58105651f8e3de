"""The page to log in, and the pages to which the links in mails lead, for services without a front end of their own.

Opening a page changes nothing, because mail scanners open every link, and some run its script. The one-time token is in
the fragment, which no server sees; the script of the page sends it to the API when a person presses the button.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response
from jinja2 import TemplateNotFound

from authapp.api.guards import public
from authapp.api.html import html, templates
from authapp.api.page_files import STATIC, PageFiles
from authapp.api.paths import BASE_PATH
from authapp.config import Settings, SettingsError
from authapp.domain.email.factor_undo import UNDO_WINDOW
from authapp.domain.passwords.checks import MIN_LENGTH
from authapp.domain.token_purposes import TokenPurpose, token_purposes

_ASSETS = ("account.css", "account.js", "icon.svg")


def are_wanted(settings: Settings) -> bool:
    """Return whether links in mails lead to these pages."""
    return settings.mail_url is not None and settings.link_url is None


def blueprint(settings: Settings) -> Blueprint:
    """Return a page for each registered purpose of one-time tokens that has a template, and what the pages load.

    The page to log in is there if ``settings`` have login links, or providers that send users back to it. Raises
    ``SettingsError`` if a template in ``mail_templates`` cannot be used: pages are rendered here, once.
    """
    pages = Blueprint("account_pages", __name__)
    for purpose in token_purposes:
        name = purpose.replace("_", "-")
        if purpose == TokenPurpose.LOGIN and settings.login_links == "off" and not _providers(settings):
            continue
        text = _rendered(name, settings)
        if text is not None:
            pages.add_url_rule(f"/{name}", f"show_{purpose}", _page(text))
    pages.add_url_rule("/assets/<name>", view_func=asset)
    return pages


@public
def asset(name: str) -> Response:
    """Return one of the files that the pages load."""
    return _files.response(name)


def _page(text: str) -> Callable[[], Response]:
    @public
    def show_page() -> Response:
        return html(text)

    return show_page


def _rendered(name: str, settings: Settings) -> str | None:
    """Return a page, or ``None`` if it has no template: a purpose of yours may have a page elsewhere."""
    sender, path = settings.mail_from, f"account/{name}.html"
    try:
        page = templates(settings.mail_templates).get_template(path)
        return page.render(
            # Relative, so that they are right behind a proxy that serves this application below a path.
            api=f"..{BASE_PATH}/",
            service=(sender.display_name or sender.domain) if sender else "",
            password_needed=settings.email_verification == "required",
            password_min=MIN_LENGTH,
            undo_days=UNDO_WINDOW.days,
            login_links=settings.login_links == "on",
            passkey_hosts=party.hosts if (party := settings.relying_party) else [],
            providers=_providers(settings),
            provider_hosts=_provider_hosts(settings),
            development=settings.env == "development",
        )
    except Exception as error:  # noqa: BLE001 - a template may do anything that fails
        if isinstance(error, TemplateNotFound) and error.name == path:
            return None
        raise SettingsError([f"AUTHAPP_MAIL_TEMPLATES: {path}: {type(error).__name__}: {error}"]) from None


def _providers(settings: Settings) -> list[str]:
    """Return the names of the providers that the page to log in offers."""
    return list(settings.providers or {}) if _provider_hosts(settings) else []


def _provider_hosts(settings: Settings) -> list[str]:
    """Return the hosts at which providers may send users back to the page that logs in."""
    urls = [urlsplit(uri) for uri in settings.redirect_uris or ()]
    return [url.netloc for url in urls if url.path.endswith("/account/login")]


def _find_files() -> dict[str, Path]:
    """Return the files by their names below ``/account/assets/``."""
    return {name: STATIC / name for name in _ASSETS}


_files = PageFiles(_find_files)
