"""Checks of the settings of passkeys."""

from collections.abc import Iterator

from sqlalchemy import select

from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import read_one
from authapp.domain.services import Services
from authapp.models import Passkey


def accepted(services: Services) -> Iterator[CheckResult]:
    """Check that passkeys are accepted, if accounts have some."""
    if services.settings.relying_party is None and read_one(select(Passkey.user_id).limit(1)):
        sentence = "Accounts have passkeys, and AUTHAPP_ORIGINS is not set: none is accepted."
        advice = "Set AUTHAPP_ORIGINS as it was, with AUTHAPP_RP_ID: owners with no other factor cannot log in."
        yield CheckResult(CheckLevel.WARN, "passkeys", sentence, advice)
