"""The identities at providers as a part of an account that moves."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, tuple_

from authapp import clock
from authapp.config import ProviderSettings
from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.account_parts import AccountPart, PartTools, account_parts
from authapp.domain.audit import EventType
from authapp.domain.providers.identities import PROVIDER
from authapp.models import ProviderIdentity
from authapp.security.id_tokens import MAX_SUBJECT


class _MovedIdentity(NamedTuple):
    issuer: str
    subject: str
    provider: str


def _part(tools: PartTools) -> AccountPart:
    configured = list((tools.settings.providers or {}).values())
    return AccountPart(
        read=lambda value: _identities(value, configured), store=_store_identities, export=_exported, taken=_taken
    )


def _identities(value: Any, configured: Sequence[ProviderSettings]) -> list[_MovedIdentity]:
    if not isinstance(value, list):
        raise ValueError("Not of the type that it must have.")  # noqa: TRY004 - it is the error of a line
    identities = [_identity(each, configured) for each in value]
    if len({identity.provider for identity in identities}) != len(identities):
        raise ValueError("An account has one link with each provider.")
    return identities


def _identity(value: Any, configured: Sequence[ProviderSettings]) -> _MovedIdentity:
    if not isinstance(value, dict) or not value.keys() <= {"provider", "issuer", "subject"}:
        raise ValueError("Each must be an object with a subject, and an issuer or a provider.")
    subject = value.get("subject")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise ValueError("A subject must be 1 to 255 printable characters.")
    # The issuer is the same everywhere. The name is what one service calls it in its settings.
    member = "issuer" if value.get("issuer") is not None else "provider"
    wanted = value.get(member)
    for provider in configured:
        if wanted == (provider.issuer if member == "issuer" else provider.name):
            return _MovedIdentity(provider.issuer, subject, provider.name)
    raise ValueError(f"AUTHAPP_PROVIDERS has no such {member}.")


def _taken(values: Mapping[UUID, Sequence[_MovedIdentity]]) -> set[UUID]:
    pairs = {identity[:2] for identities in values.values() for identity in identities}
    columns = (ProviderIdentity.issuer, ProviderIdentity.subject)
    known = {tuple(row) for row in db.session.execute(select(*columns).where(tuple_(*columns).in_(pairs)))}
    found = set()
    for user_id, identities in values.items():
        of_account = {identity[:2] for identity in identities}
        if of_account & known:
            found.add(user_id)
        else:
            known |= of_account
    return found


def _store_identities(values: Mapping[UUID, Sequence[_MovedIdentity]], context: RequestContext) -> None:
    identities = [(user_id, identity) for user_id, identities in values.items() for identity in identities]
    if not identities:
        return
    now = clock.now()
    db.session.execute(
        insert(ProviderIdentity),
        [{"user_id": user_id, "linked_at": now, **identity._asdict()} for user_id, identity in identities],
    )
    added = [(user_id, {"factor": PROVIDER, "provider": identity.provider}) for user_id, identity in identities]
    linked = [(user_id, {"provider": identity.provider, "issuer": identity.issuer}) for user_id, identity in identities]
    audit.record_many(EventType.FACTOR_ADDED, added, context)
    audit.record_many(EventType.PROVIDER_LINKED, linked, context)


def _exported(user_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, str]]]:
    columns = (ProviderIdentity.user_id, ProviderIdentity.provider, ProviderIdentity.issuer, ProviderIdentity.subject)
    rows = select(*columns).where(ProviderIdentity.user_id.in_(user_ids)).order_by(ProviderIdentity.provider)
    found: dict[UUID, list[dict[str, str]]] = {}
    for row in db.session.execute(rows):
        identity = {"provider": row.provider, "issuer": row.issuer, "subject": row.subject}
        found.setdefault(row.user_id, []).append(identity)
    return found


account_parts.register("providers", _part)
