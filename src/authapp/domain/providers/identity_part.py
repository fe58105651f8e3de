"""The links with users of providers as a part of an account that moves."""

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


class _Link(NamedTuple):
    issuer: str
    subject: str
    provider: str


def _part(tools: PartTools) -> AccountPart:
    configured = list((tools.settings.providers or {}).values())
    return AccountPart(read=lambda value: _links(value, configured), store=_store_links, export=_exported, taken=_taken)


def _links(value: Any, configured: Sequence[ProviderSettings]) -> list[_Link]:
    if not isinstance(value, list):
        raise ValueError("Not of the type that it must have.")  # noqa: TRY004 - it is the fault of a line
    links = [_link(each, configured) for each in value]
    if len({link.provider for link in links}) != len(links):
        raise ValueError("An account has one link with each provider.")
    return links


def _link(value: Any, configured: Sequence[ProviderSettings]) -> _Link:
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
            return _Link(provider.issuer, subject, provider.name)
    raise ValueError(f"AUTHAPP_PROVIDERS has no such {member}.")


def _taken(values: Mapping[UUID, Sequence[_Link]]) -> set[UUID]:
    pairs = {link[:2] for links in values.values() for link in links}
    columns = (ProviderIdentity.issuer, ProviderIdentity.subject)
    known = {tuple(row) for row in db.session.execute(select(*columns).where(tuple_(*columns).in_(pairs)))}
    found = set()
    for user_id, links in values.items():
        of_account = {link[:2] for link in links}
        if of_account & known:
            found.add(user_id)
        else:
            known |= of_account
    return found


def _store_links(values: Mapping[UUID, Sequence[_Link]], context: RequestContext) -> None:
    links = [(user_id, link) for user_id, links in values.items() for link in links]
    if not links:
        return
    now = clock.now()
    db.session.execute(
        insert(ProviderIdentity), [{"user_id": user_id, "linked_at": now, **link._asdict()} for user_id, link in links]
    )
    added = [(user_id, {"factor": PROVIDER, "provider": link.provider}) for user_id, link in links]
    linked = [(user_id, {"provider": link.provider, "issuer": link.issuer}) for user_id, link in links]
    audit.record_many(EventType.FACTOR_ADDED, added, context)
    audit.record_many(EventType.PROVIDER_LINKED, linked, context)


def _exported(user_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, str]]]:
    columns = (ProviderIdentity.user_id, ProviderIdentity.provider, ProviderIdentity.issuer, ProviderIdentity.subject)
    rows = select(*columns).where(ProviderIdentity.user_id.in_(user_ids)).order_by(ProviderIdentity.provider)
    found: dict[UUID, list[dict[str, str]]] = {}
    for row in db.session.execute(rows):
        link = {"provider": row.provider, "issuer": row.issuer, "subject": row.subject}
        found.setdefault(row.user_id, []).append(link)
    return found


account_parts.register("providers", _part)
