"""Accounts: registering and creating them, and what users can do with their own account."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.roles.grants import GrantPolicy, require_live
from authapp.domain.users.names import UserNames
from authapp.domain.users.new_password import send_password_changed, set_password_hash
from authapp.domain.users.rows import (
    UserRef,
    change_names,
    checked_roles,
    delete_account,
    lock_account,
    lock_if_unchanged,
    refers_to,
    require_found,
    require_room_for_roles,
    unique_names,
)
from authapp.errors import RegistrationClosed, ServiceAccount, WrongPassword
from authapp.models import User, UserKind, UserRole
from authapp.security import identifiers


class Accounts:
    """The use cases of accounts."""

    def __init__(
        self,
        verifier: PasswordVerifier,
        policy: PasswordPolicy,
        hooks: Hooks,
        actor_policy: ActorPolicy,
        *,
        registration_open: bool,
    ) -> None:
        self._verifier = verifier
        self._policy = policy
        self._hooks = hooks
        self._actor_policy = actor_policy
        self._registration_open = registration_open

    def register(self, *, username: str, email: str, password: str, context: RequestContext) -> User:
        """Create an account for a guest.

        Raises ``RegistrationClosed``, the refusals of ``create``, and whatever a ``before_registration`` hook raises.
        """
        user = self.prepare(username=username, email=email, password=password, context=context)
        with unique_names(), transaction():
            self.store(user, context)
        self.announce(user, context)
        return user

    def prepare(self, *, username: str, email: str, password: str | None, context: RequestContext) -> User:
        """Check what a guest wants to register, hash the password, and return the account, which is not stored.

        Without a ``password``, the guest has another way to log in.

        Raises ``RegistrationClosed``, ``ValidationFailed``, ``PasswordRejected``, ``ServiceUnavailable``, and whatever
        a ``before_registration`` hook raises.
        """
        if not self._registration_open:
            raise RegistrationClosed
        names = UserNames.checked(username, email)
        self._hooks.send_before(hooks.before_registration, context=context, username=names.username, email=names.email)
        return self._new(names, password, context)

    def store(self, user: User, context: RequestContext) -> None:
        """Store the account of a guest within the open transaction. Raises whatever a ``user_creating`` hook raises."""
        db.session.add(user)
        audit.record(EventType.USER_REGISTERED, context=context, subject_id=user.id, actor_id=user.id)
        self._hooks.send_user_creating(user, context=context)

    def announce(self, user: User, context: RequestContext) -> None:
        """Send the signal of a new account, after the commit."""
        names = {"username": user.username, "email": user.email}
        self._hooks.send_after_commit(hooks.user_registered, context=context, user_id=user.id, **names)

    def create(
        self,
        *,
        username: str,
        email: str | None = None,
        password: str | None = None,
        roles: Iterable[str] = (),
        context: RequestContext,
    ) -> User:
        """Create an account with ``roles``. Without a ``password``, it cannot log in with a password.

        Without an ``email``, it is the account of a service, and has no password either.

        Raises ``ValidationFailed``, ``PasswordRejected``, ``UsernameTaken``, ``EmailTaken``; ``ServiceAccount`` for a
        password without an address; ``StepUpRequired`` without a recent login, if there are roles; or
        ``PermissionDenied`` for a role that the principal may not grant. If two requests want the same name at once,
        only one succeeds: a database constraint decides, and not a query before.
        """
        if email is None and password is not None:
            raise ServiceAccount
        role_names = checked_roles(roles)
        if role_names:
            self._actor_policy.require_recent(context)
        require_room_for_roles(len(role_names))
        with transaction():
            # Also checked before hashing, so that a refusal does not cost a hash.
            GrantPolicy.of(context).lock_grantable_roles(role_names)
        user = self._new(UserNames.checked(username, email), password, context, role_names)
        with unique_names(), transaction() as session:
            GrantPolicy.of(context).lock_grantable_roles(role_names)
            session.add(user)
            audit.record(EventType.USER_CREATED, context=context, subject_id=user.id)
            for role in role_names:
                audit.record(EventType.ROLE_GRANTED, context=context, subject_id=user.id, role=role)
            self._hooks.send_user_creating(user, context=context)
        self.announce(user, context)
        return user

    def find(self, user: UserRef) -> User:
        """Return an account. Raises ``ResourceNotFound``."""
        return require_found(db.session.scalars(select(User).where(refers_to(user))).one_or_none(), user)

    def rename(self, user_id: UUID, *, username: str | None = None, context: RequestContext) -> User:
        """Change the username of the user's own account, if one is given.

        Raises ``ValidationFailed`` or ``UsernameTaken``.
        """
        names = {} if username is None else {"username": username}
        with unique_names(), transaction():
            user = lock_account(user_id)
            if previous := change_names(user, names, context):
                user.updated_at = clock.now()
                self._hooks.send_user_changing(user, set(previous), context=context, previous=previous)
        return user

    def change_password(
        self, user_id: UUID, session_id: UUID | None, current: str, new: str, context: RequestContext
    ) -> None:
        """Change the password of the user's own account, and end every session except ``session_id``.

        Raises ``StepUpRequired`` if the account has a second factor that the session has not proven; ``WrongPassword``,
        also if the account has no password; ``PasswordRejected``, ``TooManyRequests``, ``ServiceUnavailable``, or
        ``TokenRevoked`` if the principal was logged out while a password was hashed.
        """
        # Before the password is compared: who has not proven the second factor is not told whether it is right.
        self._actor_policy.require_proven_factor(user_id, context)
        confirmed = self._verifier.confirm(user_id, current, context, field="current_password")
        if confirmed.password_hash is None:
            raise WrongPassword
        names = {"username": confirmed.username, "email": confirmed.email or ""}
        new_hash = self._policy.checked_hash(new, **names, context=context, field="new_password")
        with transaction():
            user = lock_if_unchanged(user_id, confirmed)
            require_live(context)
            # The owner may have added a factor while the password was hashed, and kept this session.
            self._actor_policy.require_proven_factor(user_id, context)
            ended = set_password_hash(user, new_hash, self._hooks, context, keep=session_id)
        send_password_changed(user_id, ended, self._hooks, context)

    def delete_own(self, user_id: UUID, password: str | None, context: RequestContext) -> None:
        """Delete the user's own account and everything that belongs to it.

        ``password`` is not needed if the account has none. Raises ``StepUpRequired`` if the account has a second factor
        that the session has not proven; ``WrongPassword``, ``ValidationFailed`` if the password is missing,
        ``LastAdmin``, ``TooManyRequests``, ``ServiceUnavailable``, or ``TokenRevoked`` if the principal was logged out
        while the password was hashed.
        """
        self._actor_policy.require_proven_factor(user_id, context)
        confirmed = self._verifier.confirm(user_id, password, context, field="password")
        with transaction():
            user = lock_if_unchanged(user_id, confirmed)
            require_live(context)
            # The owner may have added a factor while the password was hashed, and kept this session.
            self._actor_policy.require_proven_factor(user_id, context)
            delete_account(user, context)
        self._hooks.send_after_commit(hooks.user_deleted, context=context, user_id=user_id, username=user.username)

    def _new(self, names: UserNames, password: str | None, context: RequestContext, roles: Iterable[str] = ()) -> User:
        new_hash = None
        if password is not None:
            email = names.email or ""
            new_hash = self._policy.checked_hash(password, username=names.username, email=email, context=context)
        return User(
            id=identifiers.time_ordered(),
            kind=UserKind.SERVICE if names.email is None else UserKind.PERSON,
            username=names.username,
            email=names.email,
            password_hash=new_hash,
            role_links=[UserRole(role_name=role) for role in roles],
        )
