"""Storing a new session for an authenticated user."""

from sqlalchemy import func, update

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.token_pairs import SessionState
from authapp.models import Session, User, UserStatus
from authapp.models.session import server_time


def insert_session(state: SessionState, result: AuthenticationResult, context: RequestContext) -> bool:
    """Store the session if the user is still active and ``result`` is confirmed; return whether it was stored.

    While the password hash was computed, the password may have been changed or the account disabled. The first
    statement locks the user's row, so that a concurrent global logout either comes first or ends this session.
    """
    with transaction() as session:
        user = session.execute(
            update(User)
            .where(User.id == state.user_id, User.status == UserStatus.ACTIVE)
            .values(last_login_at=state.rotated_at)
            .returning(User.id, User.password_hash, User.sessions_valid_from)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if user is None or not result.confirm(user):
            session.rollback()
            return False
        session.add(
            Session(
                user_id=state.user_id,
                id=state.id,
                created_at=state.rotated_at,
                last_used_at=state.rotated_at,
                expires_at=state.expires_at,
                refresh_jti=state.refresh_jti,
                rotated_at=state.rotated_at,
                refresh_expires_at=state.refresh_expires_at,
                ip_address=context.ip_address,
                user_agent=context.client,
                amr=state.amr,
                auth_time=state.auth_time,
                # A mark may lie ahead of PostgreSQL's clock, which may have been set back since.
                valid_from=func.greatest(server_time(), user.sessions_valid_from),
            )
        )
        owner = {"subject_id": state.user_id, "actor_id": state.user_id, "session_id": state.id}
        audit.record(EventType.SESSION_STARTED, context=context, **owner)
    return True
