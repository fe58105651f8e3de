"""The checks of ``flask doctor``: problems that an operator should know of, and how to fix them."""

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy.exc import SQLAlchemyError

from authapp.cli.checks import (
    account_pages,
    api_keys,
    browsers,
    database,
    foreign_hashes,
    keys,
    mail,
    passkeys,
    passwords,
    providers,
    settings,
    tables,
    traces,
)
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.readiness_checks import readiness_checks
from authapp.domain.services import Services

__all__ = ["CheckLevel", "CheckResult", "doctor_checks", "run_checks"]

Check = Callable[[Services], CheckResult | Iterable[CheckResult]]

without_database: list[Check] = [
    *(settings.environment, keys.age, keys.strengths, settings.proxies, settings.hashing, passwords.breached_list),
    *(mail.server, mail.from_address, mail.templates, account_pages.templates),
    *(settings.required_factors, browsers.cookie, providers.reachable, providers.redirect_uris, traces.made),
]
doctor_checks: list[Check] = [
    *(tables.admins, tables.name_keys, tables.pruning, tables.users, tables.audit_events, mail.queue),
    *(api_keys.service_keys, foreign_hashes.floor, providers.configured),
]
"""The checks of what the tables hold. Append your own; a check may use ``authapp.db``."""


def run_checks(services: Services) -> Iterator[CheckResult]:
    """Yield the results of all checks. Those that need the database are skipped when it does not answer."""
    yield from _results(without_database, services)
    problems = services.health.problems()
    yield database.answers(problems)
    if "database" in problems:
        return
    yield database.version()
    yield database.session_settings()
    yield database.clocks()
    yield database.privileges(problems)
    if "privileges" in problems:
        return
    yield database.migrations(problems)
    if "migrations" not in problems:
        yield keys.encryption(services, problems)
        yield from passkeys.accepted(services)
    for component in problems.keys() & readiness_checks.keys():
        yield CheckResult(CheckLevel.FAIL, component, problems[component].for_guests, problems[component].for_operator)
    if not problems:
        try:
            yield from _results(doctor_checks, services)
        except SQLAlchemyError:
            yield CheckResult(
                CheckLevel.FAIL, "tables", "They cannot be read.", "Grant this role SELECT on every table."
            )


def _results(checks: list[Check], services: Services) -> Iterator[CheckResult]:
    for check in checks:
        result = check(services)
        yield from [result] if isinstance(result, CheckResult) else result
