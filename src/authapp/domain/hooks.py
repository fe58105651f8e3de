"""Hooks: signals that are sent to your code when something happens. Some of them can refuse it.

Connect a function that takes the application and keyword arguments::

    @hooks.user_registered.connect
    def welcome(app, *, user_id, context, **_): ...

``context`` is the ``RequestContext`` of the request. A receiver of ``before_registration``, ``before_session_start``,
``user_creating``, ``user_changing`` or ``account_claimed`` can refuse by raising a ``Refusal``. Every other signal is
sent after the commit, and an exception in a receiver is only logged. Receivers are called in the order in which they
were connected. Future versions may add keyword arguments, so accept ``**_``.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID
from weakref import ref

from blinker import NamedSignal, Namespace

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.errors import Refusal
from authapp.models import User

logger = logging.getLogger(__name__)
_signals = Namespace()

before_registration = _signals.signal("before-registration")
"""``username``, ``email``: sent before a guest's account is created.

What a receiver writes is committed at once: no connection to the database is held while the password is hashed.
"""

before_session_start = _signals.signal("before-session-start")
"""``result``: sent when a user has been authenticated (``AuthenticationResult``), before the session starts.

What a receiver writes may be lost: commit it in the receiver, in a transaction of its own.
"""

user_creating = _signals.signal("user-creating")
"""``user_id``: sent within the transaction that creates an account, by a guest or an administrator.

What a receiver writes is committed together with the account, and an exception undoes both.
"""

user_changing = _signals.signal("user-changing")
"""``user_id``, ``fields``, ``previous``: sent within the transaction that changes an account.

``fields`` is a set of what changes: ``username``, ``email``, ``password``, ``status``, ``roles``, or more. ``previous``
has the username and the email address as they were, if they change. What a receiver writes is committed together with
the change, and an exception undoes both.
"""

account_claimed = _signals.signal("account-claimed")
"""``user_id``: sent within the transaction in which an address that was never verified is proven by somebody who may
not be the one who registered it, by a password reset or a login link; and in which a change of address is undone.

Somebody else may have prepared the account, or taken it. Its password and its sessions end in the same transaction; a
receiver removes every other credential that was set before, such as a second factor, a passkey, an API key or the link
to a provider. What it writes is committed together with the proof, and an exception undoes both.
"""

factors_changing = _signals.signal("factors-changing")
"""``user_id``, ``event``, ``factor``: sent within the transaction that adds, removes or resets second factors.

``event`` is the type of the audit event, such as ``factor.added``. ``factor`` is ``totp`` or ``passkey``, or ``all``.
"""

recovery_code_used = _signals.signal("recovery-code-used")
"""``user_id``, ``remaining``: sent within the transaction that uses a recovery code; so many are left."""

passkey_counter_reversed = _signals.signal("passkey-counter-reversed")
"""``user_id``, ``passkey_id``, ``name``, ``refused``: sent within the transaction that uses or refuses such a passkey.

Its signature counter went back, so there may be a copy of it. ``refused`` is whether it was not accepted.
"""

user_registered = _signals.signal("user-registered")
"""``user_id``, ``username``, ``email``: a guest registered an account, or an administrator created one."""

user_deleted = _signals.signal("user-deleted")
"""``user_id``, ``username``: an account was deleted by its owner, by that of its address, or by an administrator."""

session_started = _signals.signal("session-started")
"""``user_id``, ``session_id``, ``amr``: a user logged in."""

session_ended = _signals.signal("session-ended")
"""``user_id``, ``reason``, ``session_id``: a session ended; ``None`` means all sessions, or all but the current."""

password_changed = _signals.signal("password-changed")
"""``user_id``: the password was changed, by its owner or by an administrator."""


refusals: defaultdict[NamedSignal, set[type[Refusal]]] = defaultdict(set)
"""What the receivers of a signal may raise, for the OpenAPI document."""


def may_refuse(signal: NamedSignal, *raised: type[Refusal]) -> None:
    """Say which refusals your receiver of ``signal`` raises, so that the OpenAPI documents list them."""
    refusals[signal].update(raised)


class Hooks:
    """Sends the signals of one application."""

    def __init__(self, app: object) -> None:
        """Take the application, which is the sender of the signals (``connect(receiver, sender=app)``)."""
        self._app = app
        self._refusals: defaultdict[NamedSignal, set[type[Refusal]]] = defaultdict(set)

    def may_refuse(self, signal: NamedSignal, *raised: type[Refusal]) -> None:
        """Say which refusals a receiver of ``signal`` raises that is connected to this application alone."""
        self._refusals[signal].update(raised)

    def refusals_of(self, signal: NamedSignal) -> set[type[Refusal]]:
        """Return what the receivers of ``signal`` may raise in this application."""
        return refusals[signal] | self._refusals[signal]

    def send(self, signal: NamedSignal, *, context: RequestContext, **details: Any) -> None:
        """Send a signal whose receivers may refuse. Raises what the first receiver that refuses raises."""
        for receiver in self._receivers(signal):
            receiver(self._app, context=context, **details)

    def send_after_commit(self, signal: NamedSignal, *, context: RequestContext, **details: Any) -> None:
        """Send a signal after the commit. Exceptions in a receiver are logged, and the other receivers still called."""
        for receiver in self._receivers(signal):
            try:
                receiver(self._app, context=context, **details)
            except Exception:
                logger.exception("a receiver of the signal %s failed", signal.name)
                # What it left open, and may have spoilt, is not for the others to use or to commit.
                if db.session().in_transaction():
                    db.session.rollback()

    def _receivers(self, signal: NamedSignal) -> list[Callable[..., object]]:
        # In the order in which they were connected; blinker itself calls them in the order of a set.
        listening = set(signal.receivers_for(self._app))
        connected = (each() if isinstance(each, ref) else each for each in signal.receivers.values())
        return [receiver for receiver in connected if receiver in listening]

    def send_user_creating(self, user: User, *, context: RequestContext) -> None:
        """Send ``user_creating``, within the transaction of the new account. Raises whatever a receiver raises."""
        self._send_within(user_creating, user, context=context)

    def send_user_changing(
        self,
        user: User,
        fields: Collection[str],
        *,
        context: RequestContext,
        previous: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Send ``user_changing``, within the transaction of the change. Raises whatever a receiver raises."""
        self._send_within(user_changing, user, context=context, fields=set(fields), previous=dict(previous))

    def _send_within(self, signal: NamedSignal, user: User, *, context: RequestContext, **details: Any) -> None:
        if self._receivers(signal):
            db.session.flush()  # so that receivers can write rows that refer to the account
            self.send(signal, context=context, user_id=user.id, **details)
            # What they wrote, such as a role, belongs to the account that the use case returns.
            db.session.flush()
            db.session.refresh(user)

    def send_session_ended(
        self, user_id: UUID, reason: str, *, context: RequestContext, session_id: UUID | None = None
    ) -> None:
        """Send ``session_ended``, for one session, or for all of a user without a ``session_id``."""
        self.send_after_commit(
            session_ended, context=context, user_id=user_id, reason=str(reason), session_id=session_id
        )
