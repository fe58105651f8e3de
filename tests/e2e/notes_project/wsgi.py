"""What gunicorn and the flask command load."""

from notes import make_app

app = make_app()
