"""Usernames for accounts that come without one: from a provider, or from another system."""

import unicodedata
from collections.abc import Iterable

from authapp.models.user import is_username

MAX_LENGTH = 32

_FALLBACK = "user"


def made_username(names: Iterable[str]) -> str:
    """Return a valid username, made of the first of ``names`` that gives one; somebody may have it.

    Names may be email addresses, of which the local part counts. Letters lose their accents, and a hyphen replaces each
    other character that usernames do not have. Where no name gives one, it is ``user``.
    """
    candidates = (_without_special_characters(name) for name in names)
    return next(filter(is_username, candidates), _FALLBACK)


def with_suffix(username: str, suffix: str) -> str:
    """Return another valid username, which ends in a hyphen and ``suffix``, for one that somebody has."""
    return f"{username[: MAX_LENGTH - 1 - len(suffix)]}-{suffix}"


def _without_special_characters(name: str) -> str:
    local_part = name[:200].partition("@")[0]
    ascii_name = unicodedata.normalize("NFKD", local_part).encode("ascii", "ignore").decode()
    kept = "".join(each if each.isalnum() or each in "._-" else "-" for each in ascii_name)
    return kept.lstrip("._-")[:MAX_LENGTH].rstrip("._-")
