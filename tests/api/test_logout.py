"""The main job: a logged-out token opens nothing."""

from flask import Flask

from factories import Api, a_session, a_user, problem


def test_a_logged_out_token_opens_nothing(app: Flask, api: Api) -> None:
    pair = a_session(app, a_user(app))
    assert api.get("/ping", pair.access_token).get_json() == {"message": "pong"}

    response = api.post("/auth/logout", token=pair.access_token)

    assert (response.status_code, response.data) == (204, b"")
    for path in ("/ping", "/users/me"):
        problem(api.get(path, pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/logout", token=pair.access_token), 401, "token_revoked")
    problem(api.post("/auth/refresh", token=pair.refresh_token), 401, "token_revoked")
