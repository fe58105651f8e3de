"""The least that Flask can do: what our own answers are compared with."""

from flask import Flask

app = Flask(__name__)


@app.get("/ping")
def ping() -> dict[str, str]:
    """Answer anybody."""
    return {"message": "pong"}
