"""What happens after the response has been made is never the answer."""

from typing import Any

import pytest
from flask import Flask, jsonify
from sqlalchemy import text

from authapp import create_app
from authapp.api.guards import public
from authapp.database import deadline
from authapp.database.session import db
from conftest import dispose
from databases import Databases
from factories import Api
from settings import settings

QUOTED = "INSERT INTO notes VALUES ('a secret')"


@pytest.mark.committed
def test_a_rollback_that_has_no_time_left_does_not_spoil_the_answer(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))

        @app.get("/late")
        @public
        def late() -> Any:
            found = db.session.scalar(text("SELECT 41 + 1"))
            deadline.start(-1)
            return jsonify(found)

        client = app.test_client()
        for _ in range(20):  # more often than there are connections
            answer = client.get("/late")
            assert (answer.status_code, answer.get_json()) == (200, 42)
        assert client.get("/health/ready").status_code == 200
        assert "could not be closed" in caplog.text
        dispose(app)


@pytest.mark.committed
@pytest.mark.parametrize("when", ["teardown_request", "teardown_appcontext"])
def test_a_teardown_function_that_raises_is_logged_and_the_answer_stays(
    databases: Databases, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))

        @app.get("/sum")
        @public
        def find_sum() -> Any:
            return jsonify(db.session.scalar(text("SELECT 41 + 1")))

        with app.app_context():
            pool: Any = db.engine.pool

        def teardown(_error: BaseException | None) -> None:
            raise RuntimeError(QUOTED)

        getattr(app, when)(teardown)
        client = app.test_client()
        for _ in range(20):
            answer = client.get("/sum", headers={"X-Request-ID": "the-request"})
            assert (answer.get_json(), answer.headers["X-Request-ID"]) == (42, "the-request")
        assert pool.checkedout() == 0, "the session of a request still holds a connection"
        assert Api(client).get("/ping").status_code == 401
        assert "a teardown function failed (RuntimeError)" in caplog.text
        assert QUOTED not in caplog.text, "the message of a database error quotes values"
        assert "the-request" in caplog.text
        app.teardown_request_funcs.clear()
        app.teardown_appcontext_funcs.remove(teardown) if when == "teardown_appcontext" else None
        dispose(app)


def test_outside_of_a_request_a_teardown_function_raises(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def teardown(_error: BaseException | None) -> None:
        raise RuntimeError("broken teardown")

    monkeypatch.setattr(app, "teardown_appcontext_funcs", [*app.teardown_appcontext_funcs, teardown])
    with pytest.raises(RuntimeError, match="broken teardown"), app.app_context():
        pass
