"""Administration: what administrators and operators can do with the accounts of others."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.policy import PasswordPolicy
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.roles.grants import GrantPolicy, require_another_admin
from authapp.domain.roles.roles import check_exists
from authapp.domain.sessions import revocation
from authapp.domain.throttles import Throttles
from authapp.domain.users.accounts import Accounts
from authapp.domain.users.new_password import send_password_changed, set_password_hash
from authapp.domain.users.rows import (
    UserRef,
    change_names,
    checked_roles,
    delete_account,
    lock_managed,
    require_room_for_roles,
    unique_names,
)
from authapp.errors import FieldError, ValidationFailed
from authapp.models import EndReason, User, UserRole, UserStatus
from authapp.models.role import ADMIN


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes to an account. Fields that are ``None`` stay as they are."""

    username: str | None = None
    email: str | None = None
    status: UserStatus | None = None
    roles: Collection[str] | None = None

    def names(self) -> dict[str, str]:
        """Return the new username and email address, without those that do not change."""
        names = {"username": self.username, "email": self.email}
        return {name: value for name, value in names.items() if value is not None}


class Administration:
    """The use cases of administration. Each may raise ``ResourceNotFound``, and the refusals of ``GrantPolicy``."""

    def __init__(
        self,
        accounts: Accounts,
        policy: PasswordPolicy,
        throttles: Throttles,
        hooks: Hooks,
        actor_policy: ActorPolicy,
        *,
        has_mail: bool,
    ) -> None:
        """Take whether users change their own address, with a link to the new one."""
        self._accounts = accounts
        self._policy = policy
        self._throttles = throttles
        self._hooks = hooks
        self._actor_policy = actor_policy
        self._has_mail = has_mail

    def change(self, ref: UserRef, changes: Changes, context: RequestContext) -> User:
        """Change an account. Values that are the same as before change nothing and are not recorded.

        Disabling ends the sessions, so that the tokens are refused from the next request on. Enabling also resets the
        failed logins. Another email address needs a recent login of the principal with two factors, because who has the
        address can get into the account; another role needs a recent login. One's own address is not set here if there
        is mail.

        Raises ``ValidationFailed``, ``UsernameTaken``, ``EmailTaken``, ``LastAdmin``, or what ``ActorPolicy`` raises.
        """
        with unique_names(), transaction():
            user = lock_managed(ref, context)
            now = clock.now()
            previous = change_names(user, changes.names(), context)
            if "email" in previous:
                self._require_may_set_address(user, context)
            changed = set(previous)
            if self._set_roles(user, changes.roles, context):
                changed.add("roles")
            if self._set_status(user, changes.status, context, now):
                changed.add("status")
            if changed:
                user.updated_at = now
                self._hooks.send_user_changing(user, changed, context=context, previous=previous)
        if "status" in changed and changes.status == UserStatus.DISABLED:
            self._hooks.send_session_ended(user.id, EndReason.DISABLED, context=context)
        return user

    def _require_may_set_address(self, user: User, context: RequestContext) -> None:
        # With mail, one's own new address takes the password and a link to it, which a thief of the session has not.
        if self._has_mail and context.actor_id == user.id:
            raise ValidationFailed(
                field_errors=[FieldError("#/email", "Ask for your own new address with /users/me/email.")]
            )
        self._actor_policy.require_recent_and_multi_factor(context)

    def disable(self, ref: UserRef, context: RequestContext) -> User:
        """Disable an account and end its sessions. Raises ``LastAdmin``."""
        return self.change(ref, Changes(status=UserStatus.DISABLED), context)

    def enable(self, ref: UserRef, context: RequestContext) -> User:
        """Enable an account, and reset its failed logins. The sessions that disabling ended stay ended."""
        return self.change(ref, Changes(status=UserStatus.ACTIVE), context)

    def grant(self, ref: UserRef, role: str, context: RequestContext) -> User:
        """Grant a role to an account, unless it has it. Raises ``ValidationFailed`` if the role does not exist."""
        return self._with_roles(ref, context, granted=[role])

    def revoke(self, ref: UserRef, role: str, context: RequestContext) -> User:
        """Revoke a role from an account, if it has it.

        Raises ``LastAdmin``, or ``ValidationFailed`` if the role does not exist.
        """
        # An unknown role is refused, because it is probably a typing error for a role that should be revoked.
        check_exists(role)
        return self._with_roles(ref, context, revoked=[role])

    def set_password(self, ref: UserRef, password: str, context: RequestContext) -> User:
        """Set the password of an account, end its sessions and reset its failed logins.

        Raises ``PasswordRejected`` or ``ServiceUnavailable``.
        """
        with transaction():  # no connection may be held while the password is hashed
            user = self._accounts.find(ref)
        names = {"username": user.username, "email": user.address}
        new_hash = self._policy.checked_hash(password, **names, context=context)
        with transaction():
            user = lock_managed(user.id, context)
            self._throttles.reset_failures_of_first_factors(user.id)
            ended = set_password_hash(user, new_hash, self._hooks, context)
        send_password_changed(user.id, ended, self._hooks, context)
        return user

    def end_sessions(self, ref: UserRef, context: RequestContext) -> int:
        """End all sessions of an account, and return their number."""
        with transaction():
            user = lock_managed(ref, context)
            ended = revocation.end_all(user.id, EndReason.REVOKED, clock.now())
            details: dict[str, Any] = {"reason": EndReason.REVOKED, "sessions": ended}
            audit.record(EventType.SESSION_ENDED, context=context, subject_id=user.id, **details)
        if ended:
            self._hooks.send_session_ended(user.id, EndReason.REVOKED, context=context)
        return ended

    def unlock(self, ref: UserRef, context: RequestContext) -> User:
        """Reset the failed logins and wrong codes of an account, so that its owner can log in again."""
        with transaction():
            user = lock_managed(ref, context)
            if self._throttles.reset_all_failures(user.id):
                audit.record(EventType.USER_UNLOCKED, context=context, subject_id=user.id)
        return user

    def delete(self, ref: UserRef, context: RequestContext) -> None:
        """Delete an account, with its sessions and blocklist entries. Raises ``LastAdmin``."""
        with transaction():
            user = lock_managed(ref, context)
            delete_account(user, context)
        self._hooks.send_after_commit(hooks.user_deleted, context=context, user_id=user.id, username=user.username)

    def _set_status(self, user: User, status: UserStatus | None, context: RequestContext, now: datetime) -> bool:
        # Not those of second factors, for which a recent login with two of them is asked (``FactorResets``).
        if status == UserStatus.ACTIVE and self._throttles.reset_failures_of_first_factors(user.id):
            audit.record(EventType.USER_UNLOCKED, context=context, subject_id=user.id)
        if status is None or status == user.status:
            return False
        if status == UserStatus.DISABLED:
            require_another_admin(user)
            revocation.end_all(user.id, EndReason.DISABLED, now)
        user.status = status
        event = EventType.USER_DISABLED if status == UserStatus.DISABLED else EventType.USER_ENABLED
        audit.record(event, context=context, subject_id=user.id)
        return True

    def _with_roles(
        self, ref: UserRef, context: RequestContext, *, granted: Collection[str] = (), revoked: Collection[str] = ()
    ) -> User:
        with unique_names(), transaction():
            user = lock_managed(ref, context)
            if self._set_roles(user, {*user.roles, *granted} - {*revoked}, context):
                user.updated_at = clock.now()
                self._hooks.send_user_changing(user, {"roles"}, context=context)
        return user

    def _set_roles(self, user: User, wanted: Collection[str] | None, context: RequestContext) -> bool:
        if wanted is None or set(wanted) == set(user.roles):
            return False
        wanted = checked_roles(wanted)
        links = {link.role_name: link for link in user.role_links}
        granted, revoked = sorted(set(wanted) - links.keys()), sorted(links.keys() - set(wanted))
        if granted:
            self._actor_policy.require_recent(context)
            require_room_for_roles(len(set(wanted)))
            GrantPolicy.of(context).lock_grantable_roles(granted)
        if ADMIN in revoked:
            require_another_admin(user)
        user.role_links = [links.get(role) or UserRole(role_name=role) for role in sorted(set(wanted))]
        for event, names in ((EventType.ROLE_GRANTED, granted), (EventType.ROLE_REVOKED, revoked)):
            for role in names:
                audit.record(event, context=context, subject_id=user.id, role=role)
        return True
