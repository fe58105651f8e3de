"""Calls about API keys."""

from typing import Any
from uuid import UUID

from flask import Flask

from authapp.context import OPERATOR
from authapp.domain.services import Services
from factories import Api

SOMEBODY = UUID("019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77")
"""An id that nobody has."""


def make(api: Api, token: str, path: str = "/users/me/api-keys", **wanted: Any) -> dict[str, Any]:
    response = api.post(path, {"name": "backup", **wanted}, token)
    assert response.status_code == 201, response.get_json()
    body: dict[str, Any] = response.get_json()
    return body


def keys(api: Api, token: str, path: str = "/users/me/api-keys") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(path, token).get_json()["items"]
    return items


def a_role(app: Flask, *permissions: str) -> str:
    with app.app_context():
        return Services.of(app).roles.create("helper", permissions, context=OPERATOR).name
