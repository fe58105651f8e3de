"""The outbox: mails still to be sent, written in the same transaction as the change that they report."""

from typing import Any

from sqlalchemy import Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from authapp.database.session import Model
from authapp.models.columns import Id, Key, Timestamp


class OutgoingMail(Model):
    """One mail to send: its ``kind``, and the user or the address to send it to.

    It contains no secret and no text: when the mail is sent, the account is looked up and any token is created.
    ``context`` says where the request came from, and ``details`` what else the templates need. ``challenge_hash`` binds
    a login link to the client that requested it. ``user_id`` is not a foreign key: a mail whose account
    is deleted before it is sent is dropped then.
    """

    __tablename__ = "outgoing_mail"
    __table_args__ = (Index(None, "next_attempt_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[Key]
    user_id: Mapped[Id | None]
    address: Mapped[str | None] = mapped_column(Text)
    challenge_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    context: Mapped[dict[str, Any]] = mapped_column(JSONB)
    details: Mapped[dict[str, str | int]] = mapped_column(JSONB, server_default=text("'{}'"))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    next_attempt_at: Mapped[Timestamp]
    claimed_until: Mapped[Timestamp | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Timestamp]
