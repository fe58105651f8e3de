"""Storing mails as a part of another statement, without a round trip of their own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert

from authapp.context import RequestContext
from authapp.domain.mail.mail_context import mail_context
from authapp.models import OutgoingMail
from authapp.security import identifiers


def mail_insert(source: CTE, values: Mapping[str, Any]) -> Insert:
    """Return an INSERT of at most one mail: if ``source``, which has no second row, has one.

    Make it a CTE, or have it return something.

    ``values`` maps columns of the mail to values. The id and what the mail knows of its request are bind parameters,
    whose values ``mail_params`` returns.
    """
    identity = {
        "id": bindparam("mail_id", type_=OutgoingMail.id.type),
        "context": bindparam("mail_context", type_=OutgoingMail.context.type),
    }
    # If the statement is run again because its connection had died, it must not store the mail twice.
    return _insert(source, {**identity, **values}).on_conflict_do_nothing()


def mail_batch_insert(source: CTE, values: Mapping[str, Any]) -> Insert:
    """Return an INSERT of a mail for each row of ``source``. No request caused these mails, so they know of none."""
    identity = {"id": func.gen_random_uuid(), "context": literal({}, OutgoingMail.context.type)}
    return _insert(source, {**identity, **values})


def _insert(source: CTE, values: Mapping[str, Any]) -> Insert:
    columns = {"attempts": literal(0, OutgoingMail.attempts.type), **values}
    rows = select(*columns.values()).select_from(source)
    return insert(OutgoingMail).from_select(list(columns), rows)


def mail_params(context: RequestContext) -> dict[str, Any]:
    """Return the values of the bind parameters of ``mail_insert``."""
    return {"mail_id": identifiers.time_ordered(), "mail_context": mail_context(context)}
