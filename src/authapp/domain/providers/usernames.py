"""A username for a new account, made of what the provider tells of its user."""

from secrets import randbelow, token_hex

from sqlalchemy import select

from authapp.database.session import db
from authapp.domain.providers.kinds import ProviderUser
from authapp.domain.users.made_usernames import made_username, with_suffix
from authapp.models import User
from authapp.models.user import folded


def free_username(user: ProviderUser, email: str) -> str:
    """Return a username that no account has at this moment. Another request may take it before it is stored."""
    made = made_username([*user.names, email])
    suffixes = [*(str(randbelow(9_000) + 1_000) for _ in range(8)), token_hex(8)]
    candidates = [made, *(with_suffix(made, suffix) for suffix in suffixes)]
    keys = [folded(each) for each in candidates]
    taken = set(db.session.scalars(select(User.username_key).where(User.username_key.in_(keys))))
    return next((each for each in candidates if folded(each) not in taken), candidates[-1])
