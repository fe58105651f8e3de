"""openapi-python-client: register, log in, refresh, log out. ``python openapi_python_client.py BASE_URL USERNAME``."""

import sys

from generated_python import AuthenticatedClient
from generated_python.api.auth import log_in, log_out, refresh_tokens, register_user
from generated_python.api.users import get_own_account
from generated_python.models import (
    Login,
    OwnUser,
    Refresh,
    Registration,
    TokenPair,
    TokenRevokedProblem,
    User,
    UsernameTakenProblem,
)

PASSWORD = "correct horse battery staple"


def main(base_url: str, username: str) -> None:
    client = AuthenticatedClient(base_url=base_url, token="none yet")
    account = Registration(username=username, email=f"{username}@example.com", password=PASSWORD)
    assert isinstance(register_user.sync(client=client, body=account), User)
    account.email = f"other-{account.email}"
    again = register_user.sync(client=client, body=account)
    assert isinstance(again, UsernameTakenProblem), again

    first = log_in.sync(client=client, body=Login(username=username, password=PASSWORD))
    assert isinstance(first, TokenPair)
    client = AuthenticatedClient(base_url=base_url, token=first.access_token)
    refreshed = refresh_tokens.sync(client=client, body=Refresh(refresh_token=first.refresh_token))
    assert isinstance(refreshed, TokenPair), refreshed
    client = AuthenticatedClient(base_url=base_url, token=refreshed.access_token)
    account = get_own_account.sync(client=client)
    assert isinstance(account, OwnUser)
    assert account.username == username
    assert log_out.sync_detailed(client=client).status_code == 204
    assert isinstance(get_own_account.sync(client=client), TokenRevokedProblem)


main(*sys.argv[1:])
