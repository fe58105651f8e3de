"""@verified: views that ask for an account whose email address is verified."""

import pytest
from flask import Flask
from sqlalchemy import update

import authapp
from authapp import AuthApp, clock, verified
from authapp.database.session import db
from authapp.models import User
from factories import Api, a_session, a_user, problem

pytestmark = pytest.mark.committed


def test_a_view_for_verified_addresses_lets_in_from_the_next_request_on(app: Flask, api: Api) -> None:
    blueprint = authapp.Blueprint("marked", __name__)

    @blueprint.get("/marked")
    @verified
    @blueprint.response(200)
    def view() -> dict[str, str]:
        return {}

    AuthApp.of(app).register_blueprint(blueprint, url_prefix="/api/v1")
    token = a_session(app, a_user(app)).access_token
    problem(api.get("/marked"), 401, "token_missing")
    problem(api.get("/marked", token), 403, "email_not_verified")
    with app.app_context():
        db.session.execute(update(User).values(email_verified_at=clock.now()))
        db.session.commit()
    assert api.get("/marked", token).status_code == 200
    operation = api.client.get("/openapi.json").get_json()["paths"]["/api/v1/marked"]["get"]
    assert operation["description"] == "Needs an account whose email address is verified."
    assert "email_not_verified" in operation["responses"]["403"]["description"]
