"""Checks of the API keys."""

from sqlalchemy import and_, func, select

from authapp import clock
from authapp.cli.checks.result import CheckLevel, CheckResult
from authapp.database.session import db
from authapp.domain.api_keys.expiry_warnings import WARNED_BEFORE
from authapp.domain.services import Services
from authapp.models import ApiKey, User, UserKind

MOST_NAMED = 5


def service_keys(_services: Services) -> CheckResult:
    """Check that no key of a service account expires soon: these have no address, so nobody gets a mail.

    A person's key is theirs to replace: an administrator cannot, and the person's own list has its end.
    """
    now = clock.now()
    ends_soon = and_(ApiKey.expires_at > now, ApiKey.expires_at <= now + WARNED_BEFORE)
    expiring = (
        select(User.username)
        .join(ApiKey, ApiKey.user_id == User.id)
        .where(ends_soon, User.kind == UserKind.SERVICE)
        .group_by(User.username)
        .order_by(func.min(ApiKey.expires_at))
        .limit(MOST_NAMED)
    )
    names = db.session.scalars(expiring).all()
    if names:
        sentence = f"API keys of service accounts expire within a week, first those of {', '.join(names)}."
        advice = "See `flask api-keys list USERNAME`; make others, and give them to the programs."
        return CheckResult(CheckLevel.WARN, "service keys", sentence, advice)
    return CheckResult(CheckLevel.OK, "service keys", "No API key of a service account expires within a week.")
