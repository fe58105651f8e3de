"""Erasing an account: it is deleted, and the audit trail keeps no more of its owner than ids."""

from uuid import UUID

from sqlalchemy import Integer, Select, Uuid, bindparam, delete, func, select, text

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, read_one, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.users.rows import UserRef, delete_account, lock_managed
from authapp.errors import PermissionDenied, ResourceNotFound
from authapp.models import AuditEvent, Session

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
        """Delete an account and all its sessions, and empty what the audit trail has of its owner; return its id.

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
                delete_account(user, context)
        except ResourceNotFound:
            if not isinstance(ref, UUID):
                raise
            # A mistyped id must not count as erased.
            if not db.session.scalar(_was_deleted(ref)):
                raise ResourceNotFound(f"No account has or had the id {ref}.") from None
            return ref
        self._hooks.send_after_commit(hooks.user_deleted, context=context, user_id=user.id, username=user.username)
        return user.id


def _was_deleted(user_id: UUID) -> Select[bool]:
    of_user = select(AuditEvent.id).where(AuditEvent.subject_id == user_id, AuditEvent.type == EventType.USER_DELETED)
    return select(of_user.exists())


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
