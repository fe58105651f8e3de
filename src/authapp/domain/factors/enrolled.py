"""Which factors an account has, of all registered kinds."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from authapp.config import Settings
from authapp.database.session import read_one
from authapp.domain.factors.kinds import FactorKind, factor_kinds
from authapp.models import User


@dataclass(frozen=True)
class EnrolledFactors:
    """The factors of one account: the ``FactorKind.state`` of each kind, by its name."""

    states: dict[str, Any]

    @property
    def second_factors(self) -> list[str]:
        """The names of the second factors."""
        return [name for name, kind in self._present() if kind.is_second]

    def accepted_factors(self, *, first_factor: str | None = None) -> list[str]:
        """Return the names of what completes a login: the second factors, and what replaces them.

        ``first_factor`` is the kind that was proven first. It is left out: proving the same factor again adds none.
        """
        second = [name for name in self.second_factors if name != first_factor]
        return [*second, *(name for name, kind in self._present() if kind.is_replacement)] if second else []

    def ways_in(self, settings: Settings) -> int:
        """Return how many ways there are to log in, in an application with these settings."""
        return sum(kind.ways_in(self.states[name], settings) for name, kind in self._present() if kind.ways_in)

    def _present(self) -> list[tuple[str, FactorKind]]:
        return [(name, kind) for name, kind in factor_kinds.items() if self.states.get(name)]


def factors_of(user_id: UUID) -> EnrolledFactors:
    """Return the factors of an account, in one statement. A deleted account has none."""
    row = read_one(_statement(tuple(factor_kinds.items())), {"user_id": user_id})
    return EnrolledFactors(row._asdict() if row else dict.fromkeys(factor_kinds))


def shown_factors(user_id: UUID) -> dict[str, Any]:
    """Return the factors of an account as its owner sees them: the members of the list of one's own factors."""
    states = factors_of(user_id).states
    return {kind.member or name: kind.show(user_id, states[name]) for name, kind in factor_kinds.items()}


@lru_cache(maxsize=1)
def _statement(kinds: tuple[tuple[str, FactorKind], ...]) -> Select[Any]:
    states = (kind.state.label(name) for name, kind in kinds)
    return select(*states).select_from(User).where(User.id == FactorKind.user_id)
