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
from authapp.database.reasons import reason
from authapp.database.session import discard
from authapp.domain.readiness_checks import readiness_checks
from authapp.domain.services import Services

__all__ = ["CheckLevel", "CheckResult", "doctor_checks", "run_checks"]

Check = Callable[[Services], CheckResult | Iterable[CheckResult]]

without_database: list[Check] = [
    *(settings.environment, keys.age, keys.strengths, settings.proxies, settings.hashing, passwords.breached_list),
    *(mail.server, mail.from_address, mail.templates, account_pages.templates),
    *(settings.required_factors, browsers.cookie, providers.reachable, providers.plain_http, traces.configured),
]
doctor_checks: list[Check] = [
    *(tables.admins, tables.name_keys, tables.pruning, tables.users, tables.audit_events, mail.queue),
    *(api_keys.service_keys, foreign_hashes.readable, foreign_hashes.floor, providers.configured),
]
"""The checks of what the tables hold. Append your own; a check may use ``authapp.db``."""


def run_checks(services: Services) -> Iterator[CheckResult]:
    """Yield the results of all checks. Those that need the database are skipped when it does not answer."""
    yield from _results(without_database, services)
    problems = services.health.problems()
    yield database.answers(problems)
    if "database" in problems:
        return
    yield from _results([database.version, database.session_settings, database.clocks], services)
    yield database.privileges(problems)
    if "privileges" in problems:
        return
    yield database.migrations(problems)
    if "migrations" not in problems:
        yield from _results([lambda _: keys.encryption(services, problems), passkeys.accepted], services)
    for component in [each for each in readiness_checks if each in problems]:
        yield CheckResult(CheckLevel.FAIL, component, problems[component].for_guests, problems[component].for_operator)
    if not problems:
        yield from _results(doctor_checks, services)


def _results(checks: list[Check], services: Services) -> Iterator[CheckResult]:
    """Yield the results of checks, of which one that fails by itself is a result as well: it hides no other."""
    for check in checks:
        subject = check.__module__.rpartition(".")[2]
        try:
            result = check(services)
            yield from [result] if isinstance(result, CheckResult) else result
        except SQLAlchemyError as error:
            discard()
            sentence = f"This could not be checked: {reason(error) or type(error).__name__}."
            yield CheckResult(CheckLevel.FAIL, subject, sentence, "Run `flask doctor` again.")
        except Exception as error:  # noqa: BLE001 - a check of a project may raise anything
            sentence = (
                f"This could not be checked: {type(error).__name__} in {check.__qualname__} of {check.__module__}."
            )
            yield CheckResult(CheckLevel.FAIL, subject, sentence, "This is a bug of that check.")
