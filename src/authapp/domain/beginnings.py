"""The beginning of sessions: one statement notes the login, starts the session and tells of both."""

from sqlalchemy import DateTime, Text, Uuid, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from authapp.database.prepared import Prepared
from authapp.domain import audit
from authapp.domain.credentials import Proof
from authapp.domain.origins import Origin
from authapp.domain.token_pairs import SessionState
from authapp.extensions import db
from authapp.models import EventType, LoginThrottle, Purpose, Session, User, UserStatus


def begin(session: SessionState, proof: Proof, origin: Origin) -> bool:
    """Start ``session``, if its account still is what was proven: active, with the same stored hash. Tell whether.

    While the hash was being computed the password may have been changed, or the account disabled; or another login of
    the same person has replaced an outdated hash, and then the password is good against the new one.

    The failed logins are forgotten. The account is locked for no longer than this statement takes, for many may log in
    to one. Done twice, it starts one session; with a hash that was replaced meanwhile, it is refused.
    """
    parameters = {
        "user_id": session.user_id,
        "proven_hash": proof.password_hash,
        "new_hash": proof.new_hash,
        "session_id": session.id,
        "now": session.rotated_at,
        "expires_at": session.expires_at,
        "refresh_jti": session.refresh_jti,
        "refresh_expires_at": session.refresh_expires_at,
    }
    return db.write_one(_BEGIN, {**parameters, **audit.noting(origin)}) is not None


def _beginning() -> Prepared:
    now, session_id = bindparam("now", type_=DateTime(timezone=True)), bindparam("session_id", type_=Uuid)
    account = (
        update(User)
        .where(
            User.id == bindparam("user_id", type_=Uuid),
            User.password_hash == bindparam("proven_hash", type_=Text),
            User.status == UserStatus.ACTIVE,
        )
        .values(
            last_login_at=now,
            password_hash=func.coalesce(bindparam("new_hash", type_=Text), User.password_hash),
        )
        .returning(User.id)
        .cte("account")
    )
    state = {
        "user_id": account.c.id,
        "id": session_id,
        "created_at": now,
        "last_used_at": now,
        "expires_at": bindparam("expires_at", type_=DateTime(timezone=True)),
        "refresh_jti": bindparam("refresh_jti", type_=Uuid),
        "rotated_at": now,
        "refresh_expires_at": bindparam("refresh_expires_at", type_=DateTime(timezone=True)),
        "ip_address": bindparam("ip_address", type_=Text),
        "user_agent": bindparam("user_agent", type_=Text),
    }
    rows = select(*state.values()).select_from(account)
    started = insert(Session).from_select(list(state), rows).on_conflict_do_nothing().cte("started")
    forgiven = (
        delete(LoginThrottle)
        .where(LoginThrottle.account_id == account.c.id, LoginThrottle.purpose == Purpose.LOGIN)
        .cte("forgiven")
    )
    event = {
        "occurred_at": now,
        "type": literal(EventType.SESSION_STARTED, Text),
        "actor_id": account.c.id,
        "subject_id": account.c.id,
        "session_id": session_id,
        "details": literal({}, JSONB),
    }
    return Prepared(select(account.c.id).add_cte(started, forgiven, audit.noted(account, event)))


_BEGIN = _beginning()
