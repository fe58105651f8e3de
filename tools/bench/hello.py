"""A minimal Flask application, with which authapp's responses are compared."""

from flask import Flask

app = Flask(__name__)


@app.get("/ping")
def ping() -> dict[str, str]:
    """Return a constant."""
    return {"message": "pong"}
