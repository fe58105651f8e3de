"""TOTP factors: set up, confirmed with a first code, used, and removed."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain.account_parts import PartTools
from authapp.domain.factors import totp
from authapp.domain.factors.kinds import (
    TOTP,
    CodeRules,
    FactorAttempt,
    FactorKind,
    FactorTools,
    Prover,
    SecondStep,
    deletes_rows,
    factor_kinds,
)
from authapp.domain.factors.stored_keys import EncryptedTable, encrypted_tables
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.sessions.authentication import ONE_TIME_PASSWORD
from authapp.errors import FactorExists, ServiceUnavailable
from authapp.models import TotpFactor
from authapp.security.encryption_keys import CannotDecrypt, EncryptionKeys

PENDING_LIFETIME = timedelta(minutes=10)
"""For how long a factor waits for its first code."""

prunables.register(
    "totp_factors",
    Prunable(
        "unconfirmed_totp_factors",
        TotpFactor.created_at,
        kept_for=PENDING_LIFETIME,
        only=lambda _: TotpFactor.confirmed_at.is_(None),
    ),
)

logger = logging.getLogger(__name__)

PURPOSE = "totp"
"""For what the secrets are encrypted."""

encrypted_tables.register("totp_factors", EncryptedTable(TotpFactor, PURPOSE))


@dataclass(frozen=True)
class TotpSecret:
    """What an authenticator app needs, shown once: the secret in base32, the same as a URI, and that as a QR code."""

    secret: str = field(repr=False)
    otpauth_uri: str = field(repr=False)
    qr_svg: str = field(repr=False)


class TotpFactors:
    """The TOTP factors of accounts, one each. Methods for one account work within the transaction that has locked it.

    A code is good for one use, whoever else sends it at the same moment: the time step of each code that is accepted
    must be later than the one before. The time at which it was accepted would not do, because a code of the next step
    that was used early would be good again later.
    """

    def __init__(self, keys: EncryptionKeys | None, issuer_name: str) -> None:
        """Take the keys that encrypt the secrets, if there are any, and the name of this service in such apps."""
        self._optional_keys, self._issuer_name = keys, issuer_name

    @classmethod
    def of(cls, tools: FactorTools | PartTools) -> Self:
        """Return those of an application. The name in apps is the host of its issuer."""
        issuer = tools.settings.issuer
        return cls(tools.encryption_keys, urlsplit(issuer).hostname or issuer)

    def prove(self, attempt: FactorAttempt, context: RequestContext) -> tuple[str, ...]:
        """Use a code as it was typed; see ``Prover``."""
        return (ONE_TIME_PASSWORD,) if self.use(attempt.user_id, totp.without_blanks(attempt.answer)) else ()

    def begin(self, user_id: UUID) -> bytes:
        """Give an account a factor that counts once ``confirm`` has seen a code; return its secret.

        It replaces a pending one.

        Raises ``FactorExists`` if the account has a confirmed factor.
        """
        secret = totp.new_secret()
        sealed = self._keys.encrypt(secret, PURPOSE, user_id)
        values = {
            "secret": sealed.data,
            "key_id": sealed.key_id,
            "last_step": 0,
            "confirmed_at": None,
            "created_at": clock.now(),
        }
        statement = insert(TotpFactor).values(user_id=user_id, **values)
        pending = statement.on_conflict_do_update(
            index_elements=[TotpFactor.user_id], set_=values, where=TotpFactor.confirmed_at.is_(None)
        )
        if db.session.execute(pending.returning(TotpFactor.user_id)).first() is None:
            raise FactorExists
        return secret

    def shown(self, secret: bytes, username: str) -> TotpSecret:
        """Return a secret as the authenticator app of this user needs it."""
        uri = totp.otpauth_uri(secret, self._issuer_name, username)
        return TotpSecret(totp.secret_text(secret), uri, totp.qr_svg(uri))

    def add_confirmed(self, secrets: Mapping[UUID, bytes]) -> None:
        """Give new accounts, by their ids, a factor that its owner confirmed in another system, in one statement.

        Codes from before are void. Raises ``ServiceUnavailable`` if there are no keys to encrypt secrets with.
        """
        now = clock.now()
        times = {"last_step": totp.step_at(now), "confirmed_at": now, "created_at": now}
        rows = []
        for user_id, secret in secrets.items():
            sealed = self._keys.encrypt(secret, PURPOSE, user_id)
            rows.append({"user_id": user_id, "secret": sealed.data, "key_id": sealed.key_id, **times})
        if rows:
            db.session.execute(insert(TotpFactor), rows)

    def confirmed_secrets(self, user_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the secrets of those of these accounts that have a confirmed factor.

        Raises ``ServiceUnavailable`` if one cannot be decrypted.
        """
        columns = (TotpFactor.user_id, TotpFactor.secret, TotpFactor.key_id)
        confirmed = (TotpFactor.user_id.in_(user_ids), TotpFactor.confirmed_at.is_not(None))
        return {
            row.user_id: self._secret(row.user_id, row)
            for row in db.session.execute(select(*columns).where(*confirmed))
        }

    def confirm(self, user_id: UUID, code: str) -> bool:
        """Confirm the pending factor of an account with a code; return whether it was right.

        The code counts as used. Raises what ``use`` raises.
        """
        now = clock.now()
        pending = (TotpFactor.confirmed_at.is_(None), TotpFactor.created_at > now - PENDING_LIFETIME)
        return self._accept(user_id, code, *pending, confirmed_at=now)

    def use(self, user_id: UUID, code: str) -> bool:
        """Use a code of the confirmed factor of an account.

        Returns whether it was right, and of a later step than the last one that was accepted.

        Raises ``ServiceUnavailable`` if the secret cannot be decrypted.
        """
        return self._accept(user_id, code, TotpFactor.confirmed_at.is_not(None))

    def remove(self, user_id: UUID) -> bool:
        """Delete the confirmed factor of an account; return whether there was one. A pending one stays."""
        confirmed = (TotpFactor.user_id == user_id, TotpFactor.confirmed_at.is_not(None))
        removed = delete(TotpFactor).where(*confirmed).returning(TotpFactor.user_id)
        return db.session.scalars(removed.execution_options(synchronize_session=False)).one_or_none() is not None

    def _accept(self, user_id: UUID, code: str, *conditions: ColumnElement[bool], **changes: Any) -> bool:
        """Accept a code of the factor that meets these conditions, if its step is later than the last one."""
        columns = (TotpFactor.secret, TotpFactor.key_id)
        row = db.session.execute(select(*columns).where(TotpFactor.user_id == user_id, *conditions)).one_or_none()
        step = row and totp.matching_step(self._secret(user_id, row), code, clock.now())
        if step is None:
            return False
        later = (TotpFactor.user_id == user_id, TotpFactor.last_step < step, *conditions)
        accepted = update(TotpFactor).where(*later).values(last_step=step, **changes).returning(TotpFactor.user_id)
        return db.session.execute(accepted.execution_options(synchronize_session=False)).first() is not None

    @property
    def _keys(self) -> EncryptionKeys:
        if self._optional_keys is None:
            raise ServiceUnavailable("There are no keys to encrypt secrets with.")
        return self._optional_keys

    def _secret(self, user_id: UUID, row: Any) -> bytes:
        try:
            return self._keys.decrypt(row.key_id, row.secret, PURPOSE, user_id)
        except CannotDecrypt as error:
            # Nothing that the owner sends would help, and a wrong code would be counted against them.
            logger.error("The TOTP factor of %s cannot be used: %s", user_id, error)  # noqa: TRY400 - no bug of ours
            raise ServiceUnavailable("Codes cannot be checked now.") from None


factor_kinds.register(
    TOTP,
    FactorKind(
        state=select(TotpFactor.confirmed_at).where(TotpFactor.user_id == FactorKind.user_id).scalar_subquery(),
        position=20,
        second_step=SecondStep(
            prover=lambda tools: Prover(TotpFactors.of(tools).prove),
            codes=CodeRules(fits=lambda code: len(totp.without_blanks(code)) <= totp.DIGITS),
        ),
        is_offered=lambda settings: settings.encryption_keys is not None,
        delete=deletes_rows(TotpFactor.confirmed_at),
        words="an authenticator app",
        show=lambda _user_id, enabled_at: enabled_at and {"enabled_at": enabled_at},
    ),
)
