"""Administration: what administrators and operators do to the accounts of others."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authapp import clock
from authapp.domain import audit
from authapp.domain.accounts import Accounts, Who, checked_roles, locked, remove, renamed, unique_names
from authapp.domain.credentials import Credentials
from authapp.domain.endings import end_sessions
from authapp.domain.identity import Identity
from authapp.domain.origins import COMMAND_LINE, Origin
from authapp.domain.powers import Powers, keep_an_admin, lock_in_order
from authapp.domain.roles import check_exists
from authapp.domain.transactions import transaction
from authapp.models import EndReason, EventType, User, UserRole, UserStatus
from authapp.models.role import ADMIN


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of an account; nothing stays as it is."""

    username: str | None = None
    email: str | None = None
    status: UserStatus | None = None
    roles: Collection[str] | None = None

    def names(self) -> dict[str, str]:
        """Return the names that are to change."""
        given = {"username": self.username, "email": self.email}
        return {name: value for name, value in given.items() if value is not None}


class Administration:
    """The use cases of administration. Each raises ``ResourceNotFound``, and ``PermissionDenied`` from ``powers``."""

    def __init__(self, accounts: Accounts, credentials: Credentials) -> None:
        self._accounts = accounts
        self._credentials = credentials

    def change(self, who: Who, changes: Changes, by: Origin = COMMAND_LINE) -> User:
        """Change an account. What is told to be as it is changes nothing, and is no event.

        Disabling ends the sessions: the tokens are dead on the next request. Enabling forgets the failed logins too.
        Raises ``ValidationFailed``, ``UsernameTaken``, ``EmailTaken`` or ``LastAdmin``.
        """
        with unique_names(), transaction():
            user = self._locked(who, by)
            now = clock.now()
            changed = [
                renamed(user, changes.names(), by),
                self._set_roles(user, changes.roles, by),
                self._set_status(user, changes.status, by, now),
            ]
            if any(changed):
                user.updated_at = now
        return user

    def disable(self, who: Who, by: Origin = COMMAND_LINE) -> User:
        """Disable an account and end its sessions. Raises ``LastAdmin``."""
        return self.change(who, Changes(status=UserStatus.DISABLED), by)

    def enable(self, who: Who, by: Origin = COMMAND_LINE) -> User:
        """Enable an account again, and forget its failed logins. The sessions that disabling ended stay ended."""
        return self.change(who, Changes(status=UserStatus.ACTIVE), by)

    def grant(self, who: Who, role: str, by: Origin = COMMAND_LINE) -> User:
        """Give an account a role, unless it has it. Raises ``ValidationFailed`` for one that there is not."""
        return self._with_roles(who, by, given=[role])

    def revoke(self, who: Who, role: str, by: Origin = COMMAND_LINE) -> User:
        """Take a role from an account, if it has it. Raises ``LastAdmin``; ``ValidationFailed`` as ``grant``."""
        # What is not there cannot be taken, but it may be a typing error for what was to be taken.
        check_exists(role)
        return self._with_roles(who, by, taken=[role])

    def set_password(self, who: Who, password: str, by: Origin = COMMAND_LINE) -> User:
        """Set an account's password, end its sessions and forget its failed logins. Raises ``PasswordRejected``."""
        user = self._accounts.find(who)
        Identity(user.username, user.email).check_password(password)
        new_hash = self._credentials.hash(password)
        with transaction():
            user = self._locked(user.id, by)
            user.password_hash = new_hash
            user.updated_at = now = clock.now()
            self._credentials.forgive(user.id)
            ended = end_sessions(user.id, EndReason.PASSWORD_CHANGED, now)
            audit.record(EventType.PASSWORD_CHANGED, by=by, subject_id=user.id, sessions_ended=ended)
        return user

    def end_sessions(self, who: Who, by: Origin = COMMAND_LINE) -> int:
        """End every session of an account, and return how many there were."""
        with transaction():
            user = self._locked(who, by)
            ended = end_sessions(user.id, EndReason.REVOKED, clock.now())
            audit.record(EventType.SESSION_ENDED, by=by, subject_id=user.id, reason=EndReason.REVOKED, sessions=ended)
        return ended

    def unlock(self, who: Who, by: Origin = COMMAND_LINE) -> User:
        """Forget the failed logins of an account: it may be tried again."""
        with transaction():
            user = self._locked(who, by)
            self._unlock(user, by)
        return user

    def delete(self, who: Who, by: Origin = COMMAND_LINE) -> None:
        """Delete an account, with its sessions and all that was kept for its tokens. Raises ``LastAdmin``."""
        with transaction():
            remove(self._locked(who, by), by)

    def _locked(self, who: Who, by: Origin) -> User:
        if by.caller and isinstance(who, UUID):
            lock_in_order(by.caller.id, who)
        user = locked(who)
        Powers.of(by).check_may_overrule(user)
        return user

    def _set_status(self, user: User, status: UserStatus | None, by: Origin, now: datetime) -> bool:
        if status == UserStatus.ACTIVE:
            self._unlock(user, by)
        if status is None or status == user.status:
            return False
        if status == UserStatus.DISABLED:
            keep_an_admin(user)
            end_sessions(user.id, EndReason.DISABLED, now)
        user.status = status
        event = EventType.USER_DISABLED if status == UserStatus.DISABLED else EventType.USER_ENABLED
        audit.record(event, by=by, subject_id=user.id)
        return True

    def _unlock(self, user: User, by: Origin) -> None:
        if self._credentials.forgive(user.id):
            audit.record(EventType.USER_UNLOCKED, by=by, subject_id=user.id)

    def _with_roles(self, who: Who, by: Origin, *, given: Collection[str] = (), taken: Collection[str] = ()) -> User:
        with unique_names(), transaction():
            user = self._locked(who, by)
            if self._set_roles(user, {*user.roles, *given} - {*taken}, by):
                user.updated_at = clock.now()
        return user

    def _set_roles(self, user: User, wanted: Collection[str] | None, by: Origin) -> bool:
        if wanted is None or set(wanted) == set(user.roles):
            return False
        wanted = checked_roles(wanted)
        kept = {link.role_name: link for link in user.role_links}
        given, taken = sorted(set(wanted) - kept.keys()), sorted(kept.keys() - set(wanted))
        if given:
            Powers.of(by).check_may_grant(given)
        if ADMIN in taken:
            keep_an_admin(user)
        user.role_links = [kept.get(role) or UserRole(role_name=role) for role in sorted(set(wanted))]
        for event, names in ((EventType.ROLE_GRANTED, given), (EventType.ROLE_REVOKED, taken)):
            for role in names:
                audit.record(event, by=by, subject_id=user.id, role=role)
        return True
