"""Provider identities: users of OpenID providers that are linked with accounts."""

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp


class ProviderIdentity(Model):
    """A user of a provider: the pair of ``issuer`` and ``subject`` (OpenID Connect Core 1.0, section 5.7).

    ``provider`` is the name in the settings. ``email`` is what the provider told last. It is shown to the owner, and
    identifies nobody.
    """

    __tablename__ = "provider_identities"
    # Of all users together: it decides whose account a login opens.
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    provider: Mapped[Key] = mapped_column(primary_key=True)
    subject: Mapped[Key] = mapped_column(primary_key=True)
    issuer: Mapped[Key]
    email: Mapped[str | None] = mapped_column(Text)
    linked_at: Mapped[Timestamp]
    last_login_at: Mapped[Timestamp | None]
