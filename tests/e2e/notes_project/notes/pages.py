"""A page for a browser, from a template of this project."""

from authapp import public
from flask import Blueprint, render_template, session

pages = Blueprint("pages", __name__)


@pages.get("/")
@public
def show_welcome() -> str:
    """Show the first page, which counts its visits in Flask's session cookie (FLASK_SECRET_KEY signs it)."""
    session["visits"] = session.get("visits", 0) + 1
    return render_template("welcome.html", visits=session["visits"])
