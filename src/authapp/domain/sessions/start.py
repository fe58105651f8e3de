"""Starting a session, for a user who was authenticated by whatever method, in one statement.

One statement, because a transaction of SQLAlchemy's session made logins 12 % slower.
"""

from sqlalchemy import Text, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.mail import recipients
from authapp.domain.mail.kinds import MailKind, mail_kinds
from authapp.domain.mail.statements import mail_insert, mail_params
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.token_pairs import SessionState
from authapp.models import OutgoingMail, Session, Throttle, User, UserStatus
from authapp.models.session import server_time

NEW_LOGIN = mail_kinds.register("new_login", MailKind(recipients.owner_at_stored_address))


def insert_session(
    fast_path: FastPath,
    state: SessionState,
    result: AuthenticationResult,
    context: RequestContext,
    mail_kind: str | None = None,
) -> bool:
    """Store the session of ``state`` if the user is active and unchanged since ``result``. Return whether it did.

    While a password hash was being computed, the password may have been changed, or the account disabled. The user's
    row is locked by the statement, so that a global logout either comes before the session or ends it. The failed
    attempts in the scope of this login are reset. A mail of ``mail_kind`` goes to the user's address if that is
    verified. The statement may run twice, and then starts one session.
    """
    parameters = {
        "user_id": state.user_id,
        "account_version": result.account_version,
        "session_id": state.id,
        "now": state.rotated_at,
        "expires_at": state.expires_at,
        "refresh_jti": state.refresh_jti,
        "refresh_expires_at": state.refresh_expires_at,
        "amr": state.amr,
        "auth_time": state.auth_time,
        "throttle_scope": result.throttle_scope.name if result.throttle_scope else None,
    }
    parameters |= audit.audit_params(context)
    statement = _START
    if mail_kind is not None:
        statement = _START_WITH_MAIL
        parameters |= {**mail_params(context), "mail_kind": mail_kind}
    has_started = fast_path.write(statement, parameters) is not None
    audit.count(EventType.SESSION_STARTED, int(has_started))
    return has_started


def _start(*, with_mail: bool) -> PreparedStatement:
    now = bindparam("now", type_=Session.created_at.type)
    account = (
        update(User)
        .where(
            User.id == bindparam("user_id", type_=User.id.type),
            User.updated_at == bindparam("account_version", type_=User.updated_at.type),
            User.status == UserStatus.ACTIVE,
        )
        .values(last_login_at=now)
        .returning(User.id, User.email, User.email_verified_at, User.sessions_valid_from)
        .cte("account")
    )
    columns = {
        "user_id": account.c.id,
        "id": bindparam("session_id", type_=Session.id.type),
        "created_at": now,
        "last_used_at": now,
        "expires_at": bindparam("expires_at", type_=Session.expires_at.type),
        "refresh_jti": bindparam("refresh_jti", type_=Session.refresh_jti.type),
        "rotated_at": now,
        "refresh_expires_at": bindparam("refresh_expires_at", type_=Session.refresh_expires_at.type),
        "ip_address": bindparam("ip_address", type_=Text),
        "user_agent": bindparam("user_agent", type_=Text),
        "amr": bindparam("amr", type_=Session.amr.type),
        "auth_time": bindparam("auth_time", type_=Session.auth_time.type),
        # A cutoff may lie ahead of PostgreSQL's clock, if that was set back since.
        "valid_from": func.greatest(server_time(), account.c.sessions_valid_from),
    }
    rows = select(*columns.values()).select_from(account)
    started = insert(Session).from_select(list(columns), rows).on_conflict_do_nothing().cte("started")
    reset_failures = (
        delete(Throttle)
        .where(Throttle.counted_id == account.c.id, Throttle.scope == bindparam("throttle_scope"))
        .cte("reset_failures")
    )
    event = {
        "occurred_at": now,
        "type": literal(EventType.SESSION_STARTED, Text),
        "actor_id": account.c.id,
        "subject_id": account.c.id,
        "session_id": columns["id"],
        "details": literal({}, JSONB),
    }
    parts = [started, reset_failures, audit.audit_cte(account, event)]
    if with_mail:
        # Whoever registers with somebody else's address could fill that mailbox with logins.
        verified = select(account.c.id, account.c.email).where(account.c.email_verified_at.is_not(None)).cte("verified")
        mail = {
            "kind": bindparam("mail_kind", type_=OutgoingMail.kind.type),
            "user_id": verified.c.id,
            "address": verified.c.email,
            "next_attempt_at": now,
            "created_at": now,
        }
        parts.append(mail_insert(verified, mail).cte("mailed"))
    return PreparedStatement(select(account.c.id).add_cte(*parts))


_START, _START_WITH_MAIL = _start(with_mail=False), _start(with_mail=True)
