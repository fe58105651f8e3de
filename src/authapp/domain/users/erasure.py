"""Erasing an account: it is deleted, and the audit trail keeps no more of its owner than ids."""

from uuid import UUID

from sqlalchemy import Integer, Select, Uuid, bindparam, delete, func, or_, select, text

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, read_one, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.users.rows import UserRef, delete_account, lock_managed
from authapp.errors import PermissionDenied, ResourceNotFound
from authapp.models import AuditEvent, OutgoingMail, Session, User
from authapp.models.user import lookup_key

BATCH = 1_000
"""How many sessions are deleted, or events emptied, in one transaction."""

_MAY_ERASE = select(
    func.has_function_privilege("erase_audit_events(uuid, timestamptz, uuid, integer)", "EXECUTE").label("may")
)
_ERASE = text("SELECT last_time, last_id FROM erase_audit_events(:user_id, :after_time, :after_id, :batch)").bindparams(
    bindparam("user_id", type_=Uuid), bindparam("after_id", type_=Uuid), bindparam("batch", BATCH, type_=Integer)
)


class Erasure:
    """The use case of erasing an account."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def erase(self, ref: UserRef, context: RequestContext) -> UUID:
        """Delete an account, all its sessions and the mails still to be sent to its owner; empty the audit trail.

        What the trail keeps of the owner are ids. Returns that of the account.

        ``ref`` may be the id of an account that is deleted already: one whose erasure was interrupted. Raises
        ``ResourceNotFound`` for an unknown name, or an id of which the trail tells no deletion; ``LastAdmin``; or
        ``PermissionDenied`` if the role of PostgreSQL may not change the trail.
        """
        row = read_one(_MAY_ERASE)
        if row is None or not row.may:
            raise PermissionDenied("This role may not change the audit trail: use the one that owns the tables.")
        user_id = self._delete_if_there(ref, context)
        _delete_sessions(user_id)
        _empty_events(user_id)
        with transaction():
            audit.record(EventType.USER_ERASED, context=context, subject_id=user_id)
        return user_id

    def _delete_if_there(self, ref: UserRef, context: RequestContext) -> UUID:
        try:
            with transaction():
                user = lock_managed(ref, context)
                addresses = _addresses(user)
                delete_account(user, context)
                # Now, since nothing tells the addresses afterwards.
                _delete_mails(user.id, addresses)
        except ResourceNotFound:
            if not isinstance(ref, UUID):
                raise
            # A mistyped id must not count as erased.
            if not db.session.scalar(_was_deleted(ref)):
                raise ResourceNotFound(f"No account has or had the id {ref}.") from None
            with transaction():
                _delete_mails(ref, set())
            return ref
        self._hooks.send_after_commit(hooks.user_deleted, context=context, user_id=user.id, username=user.username)
        return user.id


def _was_deleted(user_id: UUID) -> Select[bool]:
    of_user = select(AuditEvent.id).where(AuditEvent.subject_id == user_id, AuditEvent.type == EventType.USER_DELETED)
    return select(of_user.exists())


def _addresses(user: User) -> set[str]:
    """Return the keys of all addresses that an account has, had, or is to have."""
    previous = (each["email"] for each in user.previous_emails or ())
    return {lookup_key(email) for email in (user.email, user.pending_email, *previous) if email}


def _delete_mails(user_id: UUID, addresses: set[str]) -> None:
    """Delete what is still to be sent to the owner: it has addresses, and where they were when they asked for it.

    The account of a mail that was asked for by address is looked up when it is sent, so the row has the address as
    somebody wrote it. Only an operator may have all rows read, which are many while no mail can be sent.
    """
    asked = select(OutgoingMail.id, OutgoingMail.address).where(OutgoingMail.address.is_not(None))
    rows = db.session.execute(asked.execution_options(yield_per=BATCH)) if addresses else ()
    ids = [row.id for row in rows if lookup_key(row.address) in addresses]
    of_owner = or_(OutgoingMail.user_id == user_id, OutgoingMail.id.in_(ids))
    db.session.execute(delete(OutgoingMail).where(of_owner).execution_options(synchronize_session=False))


def _delete_sessions(user_id: UUID) -> None:
    """Delete the sessions that ``delete_account`` left to pruning: they have addresses and user agents."""
    some = select(Session.id).where(Session.user_id == user_id).limit(BATCH).cte("some")
    statement = delete(Session).where(Session.user_id == user_id, Session.id.in_(select(some.c.id)))
    removed = BATCH
    while removed == BATCH:
        with transaction() as session:
            removed = session.connection().execute(statement).rowcount


def _empty_events(user_id: UUID) -> None:
    """Empty the addresses, user agents and details of an account's events, the oldest first, in batches."""
    position = {"after_time": clock.from_timestamp(0), "after_id": UUID(int=0)}
    while True:
        with transaction() as session:
            last = session.execute(_ERASE, {"user_id": user_id, **position}).one_or_none()
        if last is None:
            return
        position = {"after_time": last.last_time, "after_id": last.last_id}
