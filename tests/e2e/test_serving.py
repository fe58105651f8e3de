"""The service as it is run: gunicorn with two workers, in production mode."""

from e2e.processes import Server
from factories import PASSWORD


def test_the_main_job_end_to_end(server: Server) -> None:
    account = {"username": "Grace", "email": "grace@example.com", "password": PASSWORD}
    assert server.call("POST", "/api/v1/auth/register", json=account).status_code == 201
    pair = server.call("POST", "/api/v1/auth/login", json={"username": "grace", "password": PASSWORD}).json()
    token = pair["access_token"]
    assert server.call("GET", "/api/v1/users/me", token).json()["username"] == "Grace"
    assert server.call("GET", "/api/v1/ping", token).json() == {"message": "pong"}

    assert server.call("POST", "/api/v1/auth/logout", token).status_code == 204

    for _ in range(20):  # fresh connections, and so either worker
        refused = server.call("GET", "/api/v1/ping", token)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked")
    refused = server.call("POST", "/api/v1/auth/refresh", pair["refresh_token"])
    assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked")
