"""Applications with a kind of factor that somebody else registers."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import Table

from authapp import FactorKind, create_app, factor_kinds, transaction
from conftest import dispose
from databases import Databases
from settings import settings


@contextmanager
def app_with_kind(databases: Databases, name: str, kind: FactorKind, table: Table) -> Iterator[Flask]:
    """Register a kind of factor, lend an application that has it and its table, and remove the kind."""
    factor_kinds.register(name, kind)
    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        with app.app_context(), transaction() as session:
            table.create(session.connection())
        yield app
        dispose(app)
    factor_kinds.unregister(name)
