"""The list of breached passwords under gunicorn: a server that hangs holds up nobody else."""

import threading
import time
from pathlib import Path

import requests

from databases import Databases
from e2e.processes import Server, environment, serving
from range_server import BREACHED, hang, range_server


def register(server: Server, name: str, password: str) -> requests.Response:
    account = {"username": name, "email": f"{name}@example.com", "password": password}
    return server.call("POST", "/api/v1/auth/register", json=account)


def test_a_worker_serves_others_while_it_asks_and_goes_on_without_an_answer(
    databases: Databases, tmp_path: Path
) -> None:
    with range_server() as asked, databases.migrated() as url:
        variables = environment(url, AUTHAPP_BREACHED_PASSWORDS=asked.address, WEB_CONCURRENCY="1")
        with serving(tmp_path, variables) as server:
            refused = register(server, "ada", BREACHED)
            assert (refused.status_code, refused.json()["code"]) == (422, "password_rejected")

            asked.behave = hang
            answers: list[requests.Response] = []
            registration = threading.Thread(target=lambda: answers.append(register(server, "ada", BREACHED)))
            registration.start()
            while len(asked.paths) < 2:
                time.sleep(0.01)
            assert server.call("GET", "/health/live").status_code == 200
            assert answers == [], "the one event loop of the worker waited for the server"
            registration.join()
            assert [answer.status_code for answer in answers] == [201]
        assert "new passwords are not looked up in the list of breached ones" in server.log
        assert BREACHED not in server.log
