"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class CheckLevel(StrEnum):
    """How serious a result is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class CheckResult:
    """The result of checking one ``subject``. ``advice`` says what to do, and is empty if nothing is wrong."""

    level: CheckLevel
    subject: str
    sentence: str
    advice: str = ""
