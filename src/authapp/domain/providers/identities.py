"""The identities of accounts at providers: their rows, and what an account has of them as a factor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Text, func, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.exc import IntegrityError

from authapp import clock
from authapp.config import ProviderSettings, Settings
from authapp.database.errors import broken_constraint
from authapp.database.session import db
from authapp.domain.factors.kinds import FactorKind, deletes_rows, factor_kinds
from authapp.domain.providers.kinds import ProviderUser
from authapp.errors import Refusal
from authapp.models import ProviderIdentity

PROVIDER = "provider"

MAX_EMAIL = 254


def identities_of(user_id: UUID) -> Sequence[ProviderIdentity]:
    """Return the identities of an account by the names of their providers: one of each provider that is configured."""
    rows = select(ProviderIdentity).where(ProviderIdentity.user_id == user_id).order_by(ProviderIdentity.provider)
    return db.session.scalars(rows).all()


def find_identity(provider: ProviderSettings, user: ProviderUser) -> ProviderIdentity | None:
    """Return the identity of a provider's user, of any account, locked within the open transaction."""
    which = (ProviderIdentity.issuer == provider.issuer, ProviderIdentity.subject == user.subject)
    return db.session.scalars(select(ProviderIdentity).where(*which).with_for_update()).one_or_none()


def new_identity(user_id: UUID, provider: ProviderSettings, user: ProviderUser) -> ProviderIdentity:
    """Return an identity to be stored."""
    return ProviderIdentity(
        user_id=user_id,
        provider=provider.name,
        subject=user.subject,
        issuer=provider.issuer,
        email=shown_email(user),
        linked_at=clock.now(),
    )


def shown_email(user: ProviderUser) -> str | None:
    """Return the address to show to the owner; none that is too long to be one."""
    return user.email if user.email and len(user.email) <= MAX_EMAIL else None


@contextmanager
def unique_identity(refusal: Callable[[], Refusal]) -> Iterator[None]:
    """Raise ``refusal`` if another transaction has stored the identity meanwhile."""
    try:
        yield
    except IntegrityError as error:
        if broken_constraint(error) in {"uq_provider_identities_issuer_subject", "pk_provider_identities"}:
            raise refusal() from None
        raise


def _issuers() -> Any:
    issuers = func.coalesce(func.array_agg(ProviderIdentity.issuer), array([], type_=Text))
    return select(issuers).where(ProviderIdentity.user_id == FactorKind.user_id).scalar_subquery()


def _ways_in(issuers: Sequence[str], settings: Settings) -> int:
    # A login finds an identity by its issuer, whatever the provider is called now.
    configured = {provider.issuer for provider in (settings.providers or {}).values()}
    return sum(issuer in configured for issuer in issuers)


factor_kinds.register(
    PROVIDER,
    FactorKind(
        state=_issuers(),
        position=50,
        ways_in=_ways_in,
        delete=deletes_rows(ProviderIdentity.linked_at),
        words="a login by another service",
        member="providers",
        show=lambda user_id, _issuers: identities_of(user_id),
    ),
)
