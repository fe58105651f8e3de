"""Notes, for people who have an account."""

from authapp import AuthApp, Settings, create_app
from flask import Flask

# They register what is theirs when they are imported, so they are imported before the application is made.
from notes import accounts, deletion, pages, views  # noqa: F401


def make_app(settings: Settings | None = None) -> Flask:
    """Return a new application; its settings come from the environment unless they are given."""
    app = create_app(settings, import_name=__name__)
    AuthApp.of(app).register_blueprint(views.notes, url_prefix="/api/v1/notes")
    AuthApp.of(app).register_link_confirmation(deletion.NotesDeletion())
    app.register_blueprint(pages.pages)
    return app
