"""What Schemathesis needs to know: a fresh login for each case, since a case may end its session."""

import os
import re
from secrets import token_hex
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st

BASE = os.environ["FUZZ_URL"]
PASSWORD = "correct horse battery staple"
ADMINS = os.environ["FUZZ_ADMINS"].split()
_ADMINISTRATION = re.compile(r"/api/v1/(users(?!/me)|roles|audit-events|auth/introspect)")
_name = "nobody-yet"


# Reserved domains such as .test are no valid addresses here, and JSON Schema's "email" does not know of them.
_labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
schemathesis.openapi.format("email", st.builds("{}@{}.example.com".format, _labels, _labels))


def log_in(name: str) -> requests.Response:
    credentials = {"username": name, "password": PASSWORD}
    return requests.post(f"{BASE}/api/v1/auth/login", json=credentials, timeout=10)


def a_login() -> requests.Response:
    """Log in as somebody without a role."""
    global _name  # noqa: PLW0603
    response = log_in(_name)
    if response.status_code == 401:  # the last case has renamed or deleted the account
        _name = f"fuzz-{token_hex(8)}"
        account = {"username": _name, "email": f"{_name}@example.com", "password": PASSWORD}
        requests.post(f"{BASE}/api/v1/auth/register", json=account, timeout=10).raise_for_status()
        response = log_in(_name)
    return response


def _is_acceptable(body: dict[str, Any]) -> bool:
    """Whether the body keeps to the contract: another one is there to be refused."""
    token = body["refresh_token"]
    return isinstance(token, str) and "\0" not in token


@schemathesis.auth(refresh_interval=None)
class FreshLogin:
    """Sends the access token of a new session, an administrator's at times, or its refresh token in the body."""

    def get(self, case: schemathesis.Case, context: Any) -> str:
        if _ADMINISTRATION.match(case.operation.path):
            # A case may disable or rename whom it finds; then it is the next one's turn.
            answers = (log_in(name) for name in ADMINS)
            admin: str = next(answer.json()["access_token"] for answer in answers if answer.status_code == 200)
            return admin
        kind = "refresh_token" if case.operation.path.endswith("/auth/refresh") else "access_token"
        token: str = a_login().json()[kind]
        return token

    def set(self, case: schemathesis.Case, data: str, context: Any) -> None:
        if case.operation.path.endswith("/auth/refresh"):
            # In the body, as the contract says. Without a body, the header would do, and the case is to be refused.
            if isinstance(case.body, dict) and case.body.keys() == {"refresh_token"} and _is_acceptable(case.body):
                case.body = {"refresh_token": data}
            return
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
