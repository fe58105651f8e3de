"""A username for a new account, made of what the provider tells of its user."""

import unicodedata
from collections.abc import Iterable
from secrets import randbelow, token_hex

from sqlalchemy import select

from authapp.database.session import db
from authapp.domain.providers.kinds import ProviderUser
from authapp.models import User
from authapp.models.user import checked_username, folded

_ROOM = 32 - 5
"""How much of a name is used, so that a number fits behind it."""

_FALLBACK = "user"


def free_username(user: ProviderUser, email: str) -> str:
    """Return a username that no account has at this moment. Another request may take it before it is stored."""
    base = _base([*user.names, email.partition("@")[0]])
    candidates = [base, *(f"{base}-{randbelow(9_000) + 1_000}" for _ in range(8)), f"{base[:15]}-{token_hex(8)}"]
    keys = [folded(each) for each in candidates]
    taken = set(db.session.scalars(select(User.username_key).where(User.username_key.in_(keys))))
    return next((each for each in candidates if folded(each) not in taken), candidates[-1])


def _base(names: Iterable[str]) -> str:
    for name in names:
        # A name may be an address: what is behind the @ says nothing of its user.
        ascii_name = unicodedata.normalize("NFKD", name[:200].partition("@")[0]).encode("ascii", "ignore").decode()
        kept = "".join(each if each.isalnum() or each in "._-" else "-" for each in ascii_name)
        shortened = kept.lstrip("._-")[:_ROOM].rstrip("._-")
        try:
            return checked_username(shortened)
        except ValueError:
            continue
    return _FALLBACK
