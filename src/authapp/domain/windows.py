"""Windows: where no index has exactly what is asked for, a page looks at so many candidates and no more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, true

from authapp.extensions import db

WINDOW = 300
"""How many candidates a page looks at. More of them make fewer pages that are short, and all of those slower."""


@dataclass(frozen=True)
class Window:
    """Which of the candidates are wanted, each with ``id`` and ``key``; and the key of the last that was looked at.

    ``horizon`` is nothing when there are no more candidates.
    """

    found: Sequence[Row[Any]]
    horizon: Any


def look(
    candidates: Callable[[int], Select[Any]],
    wanted: Callable[[Any], Sequence[ColumnElement[Any]]],
    order: Callable[[Any], ColumnElement[Any]],
    count: int,
) -> Window:
    """Look at the next candidates, and return up to ``count`` of those that are ``wanted``, by their columns.

    ``candidates`` selects so many, with ``id`` and ``key``, ordered by ``order`` of the key. Their LIMIT is a fence:
    PostgreSQL tests the candidates one by one and cannot begin with those that pass, however many that are.
    """
    looked_at = candidates(WINDOW).subquery("candidates").c
    tested = select(
        looked_at.id,
        looked_at.key,
        and_(true(), *wanted(looked_at)).label("wanted"),
        func.row_number().over(order_by=order(looked_at.key)).label("number"),
    ).subquery("tested")
    shown = or_(tested.c.wanted, tested.c.number == WINDOW)
    rows = db.session.execute(select(tested).where(shown).order_by(tested.c.number).limit(count + 1)).all()
    found = [row for row in rows if row.wanted][:count]
    return Window(found, rows[-1].key if rows and rows[-1].number == WINDOW else None)
