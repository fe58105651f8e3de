"""What ``flask doctor`` says when a check fails by itself."""

from typing import NoReturn

import pytest
from flask import Flask
from sqlalchemy import text

from authapp.cli.checks import CheckLevel, CheckResult, doctor_checks, run_checks
from authapp.database.session import db
from authapp.domain.services import Services


def broken(_services: Services) -> NoReturn:
    raise KeyError("a secret")


def without_table(_services: Services) -> CheckResult:
    db.session.execute(text("SELECT * FROM no_such_table"))
    return CheckResult(CheckLevel.OK, "never", "")


def after(_services: Services) -> CheckResult:
    return CheckResult(CheckLevel.OK, "after", str(db.session.scalar(text("SELECT 1"))))


def test_a_check_that_fails_by_itself_is_a_result_and_hides_no_other(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authapp.cli.checks.doctor_checks", [broken, without_table, after, *doctor_checks])
    with app.app_context():
        results = list(run_checks(Services.of(app)))
    failed = [result.sentence for result in results if result.subject == "test_failing_checks"]
    assert failed[0].startswith("This could not be checked: KeyError in broken of ")
    assert "secret" not in failed[0]
    assert 'relation "no_such_table" does not exist' in failed[1]
    assert CheckResult(CheckLevel.OK, "after", "1") in results
    assert {"foreign hashes", "breached passwords"} <= {result.subject for result in results}
