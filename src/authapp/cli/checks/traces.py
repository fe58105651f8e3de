"""The check of traces, of which the settings are OpenTelemetry's own variables."""

from authapp import tracing
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.domain.services import Services

_SUBJECT = "traces"


def configured(_services: Services) -> CheckResult:
    """Say whether traces are made with the variables of this environment, and if not, why."""
    if tracing.endpoint() is None:
        return CheckResult(CheckLevel.OK, _SUBJECT, "They are off.")
    if problem := tracing.configuration_problem():
        sentence, _, advice = problem.partition(". ")
        return CheckResult(CheckLevel.FAIL, _SUBJECT, f"None are made: {sentence.rstrip('.')}.", advice or _READ)
    return CheckResult(CheckLevel.OK, _SUBJECT, f"They are sent to {tracing.collector()}.")


_READ = "docs/traces.md describes the variables."
