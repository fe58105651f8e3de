"""What Schemathesis needs to know: a fresh login for each case, since a case may end its session."""

import os
from secrets import token_hex
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st

BASE = os.environ["AUTHAPP_FUZZ_URL"]
PASSWORD = "correct horse battery staple"
_name = "nobody-yet"


# Reserved domains such as .test are no valid addresses here, and JSON Schema's "email" does not know of them.
_labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
schemathesis.openapi.format("email", st.builds("{}@{}.example.com".format, _labels, _labels))


def log_in() -> requests.Response:
    credentials = {"username": _name, "password": PASSWORD}
    return requests.post(f"{BASE}/api/v1/auth/login", json=credentials, timeout=10)


@schemathesis.auth(refresh_interval=None)
class FreshLogin:
    """Sends the access token of a new session, or its refresh token where that is due."""

    def get(self, case: schemathesis.Case, context: Any) -> str:
        kind = "refresh_token" if case.operation.path.endswith("/auth/refresh") else "access_token"
        response = log_in()
        if response.status_code == 401:  # the last case has renamed or deleted the account
            global _name  # noqa: PLW0603
            _name = f"fuzz-{token_hex(8)}"
            account = {"username": _name, "email": f"{_name}@example.com", "password": PASSWORD}
            requests.post(f"{BASE}/api/v1/auth/register", json=account, timeout=10).raise_for_status()
            response = log_in()
        token: str = response.json()[kind]
        return token

    def set(self, case: schemathesis.Case, data: str, context: Any) -> None:
        if isinstance(case.body, dict) and "refresh_token" in case.body:
            return  # a token in two places is refused, on purpose
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
