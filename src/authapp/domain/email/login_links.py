"""Logging in with a link or a code in a mail, in the client that requested it."""

from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit, one_time_tokens
from authapp.domain.audit import EventType
from authapp.domain.email.address_proofs import active_user, prove_address
from authapp.domain.email.kinds import LOGIN_LINK
from authapp.domain.email.login_codes import find_challenged_user, use_code
from authapp.domain.hooks import Hooks
from authapp.domain.mail.counted_mails import CountedMails
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.throttle_scopes import LOGIN_CODE
from authapp.domain.throttles import Throttles, unknown_account
from authapp.domain.token_purposes import TokenPurpose, token_purposes
from authapp.domain.users.names import checked_names
from authapp.domain.users.new_password import send_sessions_ended, void_password
from authapp.errors import OneTimeTokenInvalid, Refusal
from authapp.security import base64url

EMAIL = "email"
"""The method (``amr``) of such a login. RFC 8176 has no name for it."""

CHALLENGE_BYTES = 32
_NOBODY = UUID(int=0)


@dataclass(frozen=True)
class LoginChallenge:
    """What a client keeps until the user has the mail. ``expires_in`` is in seconds from the sending of the mail."""

    challenge: str
    expires_in: int


class LoginLinks:
    """The use cases of login links."""

    def __init__(
        self,
        counted_mails: CountedMails,
        throttles: Throttles,
        sessions: Sessions,
        hooks: Hooks,
    ) -> None:
        self._counted_mails = counted_mails
        self._throttles = throttles
        self._sessions = sessions
        self._hooks = hooks

    def request(self, email: str, context: RequestContext) -> LoginChallenge:
        """Return a challenge, and store a mail with a link and a code to the account that has the address.

        The answer and its time are the same whether an account has it or not. Raises ``ValidationFailed`` if it is not
        a valid address.
        """
        address, challenge = checked_names(email=email)["email"], token_bytes(CHALLENGE_BYTES)
        self._counted_mails.store_and_commit(LOGIN_LINK, address, context, challenge_hash=sha256(challenge).digest())
        lifetime = token_purposes[TokenPurpose.LOGIN].lifetime
        return LoginChallenge(base64url.encode(challenge), int(lifetime.total_seconds()))

    def log_in(
        self, challenge: str, context: RequestContext, *, token: str | None = None, code: str | None = None
    ) -> TokenPair:
        """Start a session for the account whose mail had this ``token`` or ``code``, and return its tokens.

        The mail must have been requested with ``challenge``: otherwise whoever opens the link of somebody else, or has
        them open one, would be logged in. The link is used up and the address verified before the session starts, also
        if a ``before_session_start`` hook then refuses, for example to ask for a second factor.

        Raises ``OneTimeTokenInvalid``, or what a hook raises.
        """
        result = self._authenticate(_hash(challenge), token, code, context)
        try:
            return self._sessions.start_or_record(result, context, OneTimeTokenInvalid())
        except Refusal as refusal:
            if not refusal.is_final:
                # The code was right, and no session starts that would reset the failures before it.
                with transaction():
                    self._throttles.reset_failures(result.user_id, LOGIN_CODE)
            raise

    def _authenticate(
        self, challenge_hash: bytes, token: str | None, code: str | None, context: RequestContext
    ) -> AuthenticationResult:
        """Use the link up, and return whom it authenticates. Raises ``OneTimeTokenInvalid``."""
        # The statements are the same whether there is such an account or not. The guess that is counted in the row of a
        # known challenge is not; that difference is accepted.
        challenged = find_challenged_user(challenge_hash)
        guesser = challenged or _NOBODY
        if token is None and not self._may_guess(challenged, challenge_hash):
            guesser = _NOBODY
        ended = 0
        with transaction():
            if token is not None:
                used = one_time_tokens.use(token, TokenPurpose.LOGIN, challenge_hash=challenge_hash)
            else:
                used = use_code(guesser, challenge_hash, _digits(code or ""))
            user = active_user(used) if used else None
            if user is None:
                audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=challenged)
            elif prove_address(user, self._hooks, context):
                ended = void_password(user, context)
                self._hooks.send_user_changing(user, {"password"}, context=context)
        if user is None:
            raise OneTimeTokenInvalid
        send_sessions_ended(user.id, ended, self._hooks, context)
        return AuthenticationResult(
            user.id,
            (EMAIL,),
            auth_time=clock.now(),
            account_version=user.updated_at,
            throttle_scope=LOGIN_CODE,
        )

    def _may_guess(self, challenged: UUID | None, challenge_hash: bytes) -> bool:
        """Count a guess of a code, and tell whether it may be compared.

        Guesses are counted by account, over all challenges. Those for a challenge of nobody are counted by challenge.
        A refusal is not shown: for an address without an account, there is nothing to count over its challenges.
        """
        counted_id = challenged or unknown_account(challenge_hash.hex())
        return self._throttles.try_reserve(counted_id, LOGIN_CODE) is not None


def _hash(challenge: str) -> bytes:
    try:
        return sha256(base64url.decode(challenge)).digest()
    except ValueError:
        return sha256().digest()  # that of no challenge


def _digits(code: str) -> str:
    # People type a code as they read it, in groups.
    return "".join(code.split())
