"""Hooks: signals that are sent to your code when something happens. Some of them can refuse it.

Connect a function that takes the application and keyword arguments::

    @hooks.user_registered.connect
    def welcome(app, *, user_id, context, **_): ...

``context`` is the ``RequestContext`` of the request. Receivers are called in the order in which they were connected.
Future versions may add keyword arguments, so accept ``**_``.

- ``before_registration`` and ``before_session_start`` are sent before any transaction. A receiver can refuse by raising
  a ``Refusal``. It commits what it writes in a ``transaction()`` of its own; what it leaves open is rolled back.
- ``user_creating``, ``user_changing``, ``credentials_voiding`` and ``factors_changing`` are sent within the transaction
  of the change. A receiver can refuse, too. What it writes is committed together with the change, and an exception
  undoes both.
- Every other signal is sent after the commit. An exception in a receiver is only logged. A receiver commits what it
  writes in a ``transaction()`` of its own; what it leaves open is rolled back.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID
from weakref import ref

from blinker import NamedSignal, Namespace

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain.failures import log_failure
from authapp.errors import Refusal
from authapp.models import User

Receiver = TypeVar("Receiver", bound=Callable[..., object])

logger = logging.getLogger(__name__)
_signals = Namespace()

before_registration = _signals.signal("before-registration")
"""``username``, ``email``: sent before a guest's account is created."""

before_session_start = _signals.signal("before-session-start")
"""``result``: sent when a user has been authenticated (``AuthenticationResult``), before the session starts."""

user_creating = _signals.signal("user-creating")
"""``user_id``: sent within the transaction that creates an account, by a guest or an administrator."""

user_changing = _signals.signal("user-changing")
"""``user_id``, ``fields``, ``previous``: sent within the transaction that changes an account.

``fields`` is a set of what changes: ``username``, ``email``, ``password``, ``status``, ``roles``, or more, as one of
yours; ``voiding_fields`` has those that void links. ``previous`` has the username and the address as they were,
if they change.
"""

credentials_voiding = _signals.signal("credentials-voiding")
"""``user_id``, ``since``: sent within the transaction in which the owner of an address gets an account back.

Somebody else may have prepared it: no address of it was ever verified, and now one is proven, by a password reset or a
login link. Then ``since`` is ``None``. Or somebody else may have taken it: a change of its address, made at ``since``,
or every factor that was added after ``since`` is undone.

The sessions end in the same transaction, and so does the password unless factors are undone. A receiver removes every
other credential, such as a second factor, a passkey, an API key or the link to a provider; with ``since``, those that
were added after it.
"""

factors_changing = _signals.signal("factors-changing")
"""``user_id``, ``event``, ``details``: sent within the transaction in which something happens to second factors.

``event`` is the type of the audit event, and ``details`` are those of it: of ``factor.added``, ``factor.removed`` and
``factor.reset`` the ``factor``, which is the name of a kind, and of a reset ``all`` or ``added_lately``; of
``recovery_code.used`` how many are ``remaining``; of ``passkey.counter_reversed`` whether the passkey was ``refused``.
``recovery_codes.created`` is sent where they replace others. Send events of your own kind with what details you like.
"""

user_registered = _signals.signal("user-registered")
"""``user_id``, ``username``, ``email``: a guest registered an account, or an administrator created one.

``email`` is ``None`` for a service account.
"""

user_deleted = _signals.signal("user-deleted")
"""``user_id``, ``username``: an account was deleted by its owner, by that of its address, or by an administrator."""

session_started = _signals.signal("session-started")
"""``user_id``, ``session_id``, ``amr``: a user logged in."""

session_ended = _signals.signal("session-ended")
"""``user_id``, ``reason``, ``session_id``: a session ended; ``None`` means all sessions, or all but the current."""

password_changed = _signals.signal("password-changed")
"""``user_id``: the password was changed, by its owner or by an administrator."""


def may_refuse(*refusals: type[Refusal]) -> Callable[[Receiver], Receiver]:
    """Return a decorator that says which refusals a receiver raises, so that the OpenAPI document lists them."""

    def marked(receiver: Receiver) -> Receiver:
        receiver.refusals = refusals  # type: ignore[attr-defined]  # functions take any
        return receiver

    return marked


class Hooks:
    """Sends the signals of one application."""

    def __init__(self, app: object) -> None:
        """Take the application, which is the sender of the signals (``connect(receiver, sender=app)``)."""
        self._app = app

    def refusals(self, signal: NamedSignal) -> set[type[Refusal]]:
        """Return what the receivers of ``signal`` in this application raise, as they say with ``may_refuse``."""
        return {each for receiver in self._receivers(signal) for each in getattr(receiver, "refusals", ())}

    def send_before(self, signal: NamedSignal, *, context: RequestContext, **details: Any) -> None:
        """Send a signal before any transaction. Raises what the first receiver that refuses raises.

        Whatever comes next would commit what receivers left open, or hold its connection while a password is hashed.
        """
        try:
            self.send_within(signal, context=context, **details)
        finally:
            _roll_back()

    def send_within(self, signal: NamedSignal, *, context: RequestContext, **details: Any) -> None:
        """Send a signal within the open transaction. Raises what the first receiver that refuses raises."""
        for receiver in self._receivers(signal):
            receiver(self._app, context=context, **details)

    def send_after_commit(self, signal: NamedSignal, *, context: RequestContext, **details: Any) -> None:
        """Send a signal after the commit. Exceptions in a receiver are logged, and the other receivers still called."""
        for receiver in self._receivers(signal):
            try:
                receiver(self._app, context=context, **details)
            except Exception as error:  # noqa: BLE001 - the change is committed, whatever a receiver does
                log_failure(logger, f"a receiver of the signal {signal.name} failed", error)
            finally:
                # What it left open, and may have spoilt, is not for the others to use or to commit.
                _roll_back()

    def _receivers(self, signal: NamedSignal) -> list[Callable[..., object]]:
        # In the order in which they were connected; blinker itself calls them in the order of a set.
        listening = set(signal.receivers_for(self._app))
        connected = (each() if isinstance(each, ref) else each for each in signal.receivers.values())
        return [receiver for receiver in connected if receiver in listening]

    def send_user_creating(self, user: User, *, context: RequestContext) -> None:
        """Send ``user_creating``, within the transaction of the new account. Raises whatever a receiver raises."""
        self._send_about(user_creating, user, context=context)

    def send_user_changing(
        self,
        user: User,
        fields: Collection[str],
        *,
        context: RequestContext,
        previous: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Send ``user_changing``, within the transaction of the change. Raises whatever a receiver raises."""
        self._send_about(user_changing, user, context=context, fields=set(fields), previous=dict(previous))

    def _send_about(self, signal: NamedSignal, user: User, *, context: RequestContext, **details: Any) -> None:
        if self._receivers(signal):
            db.session.flush()  # so that receivers can write rows that refer to the account
            self.send_within(signal, context=context, user_id=user.id, **details)
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


def _roll_back() -> None:
    if db.session().in_transaction():
        db.session.rollback()
