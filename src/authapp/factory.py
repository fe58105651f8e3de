"""The application factory."""

from pathlib import Path

from flask import Flask
from flask.helpers import get_root_path

from authapp.api.guards import public
from authapp.config import Settings
from authapp.extension import AuthApp

IMPORT_NAME = "authapp"


def create_app(settings: Settings | None = None, import_name: str = IMPORT_NAME) -> Flask:
    """Return a new application in which every route is locked unless it is marked ``public``.

    ``settings`` are read from the environment unless they are given. With the ``import_name`` of your own module
    (``__name__``), its folders ``templates`` and ``static`` are used, the static files open to guests, and Flask's own
    settings are read from ``FLASK_*`` variables, such as ``FLASK_SECRET_KEY``.

    Raises ``SettingsError`` when the settings cannot be used. While the ``flask`` command looks for its commands the
    application has no routes of authapp instead, so that ``flask keys generate`` and ``flask doctor`` work.
    """
    has_static_files = import_name != IMPORT_NAME and Path(get_root_path(import_name), "static").is_dir()
    app = Flask(import_name, static_folder="static" if has_static_files else None)
    if import_name != IMPORT_NAME:
        app.config.from_prefixed_env()
    if has_static_files:
        app.view_functions["static"] = public(app.view_functions["static"])
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields come in the order that the contract lists them
    # A redirect to a tidier path would be one more answer that is not problem+json; such a path is simply not there.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    AuthApp().init_app(app, settings, cover_all=True)
    return app
