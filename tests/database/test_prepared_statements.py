"""Prepared statements: what goes in comes out, and whatever a connection knows already, the statement runs once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy import DateTime, Integer, Interval, Text, Uuid, bindparam, column, func, literal, select, table, text
from sqlalchemy.dialects.postgresql import JSONB

from authapp.database.connect import connect_arguments, connector
from authapp.database.fast_path import PreparedStatement
from authapp.database.wait_callback import TimedConnection
from databases import Databases

NUMBER = PreparedStatement(select((bindparam("number", type_=Integer) + 1).label("next")))


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[TimedConnection]:
    connection = connector(url, connect_arguments(2.5))()
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Text, 'it\'s 100 % \\ "quoted" $1 :x'),
        (Text, None),
        (Integer, -7),
        (Uuid, uuid4()),
        (DateTime(timezone=True), datetime(2026, 11, 24, 12, tzinfo=UTC)),
        (Interval, timedelta(seconds=1.5)),
        (JSONB, {"a": ["%", {"b": None}]}),
    ],
)
def test_what_goes_in_comes_out(connection: TimedConnection, type_: object, value: object) -> None:
    given = PreparedStatement(select(bindparam("value", type_=type_).label("value")))  # type: ignore[arg-type]
    constant = PreparedStatement(select(literal(value, type_).label("value")))  # type: ignore[arg-type]
    for _ in range(3):
        assert given.first(connection, {"value": value}).value == value
        assert constant.first(connection, {}).value == value


def test_a_statement_is_prepared_once_and_its_name_is_made_of_its_text(connection: TimedConnection) -> None:
    assert [NUMBER.first(connection, {"number": n}).next for n in range(3)] == [1, 2, 3]
    cursor = connection.cursor()
    cursor.execute("SELECT name FROM pg_prepared_statements")
    assert cursor.fetchall() == [(NUMBER.name,)]
    same = PreparedStatement(select((bindparam("number", type_=Integer) + 1).label("next")))
    assert same.name == NUMBER.name
    assert PreparedStatement(select((bindparam("number", type_=Integer) + 2).label("next"))).name != NUMBER.name


def test_a_connection_that_is_another_than_it_was_still_answers(connection: TimedConnection) -> None:
    """As behind a pooler of transactions: the server has forgotten the statement, or knew it before."""
    cursor = connection.cursor()
    assert NUMBER.first(connection, {"number": 1}).next == 2
    cursor.execute("DEALLOCATE ALL")
    assert NUMBER.first(connection, {"number": 2}).next == 3
    connection.statements.clear()
    assert NUMBER.first(connection, {"number": 3}).next == 4
    assert connection.statements == {NUMBER.name}


def test_a_statement_whose_columns_have_changed_since_still_answers(connection: TimedConnection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE things (name varchar(10)); INSERT INTO things VALUES ('a')")
    statement = PreparedStatement(select(column("name", Text), literal(1).label("one")).select_from(table("things")))
    assert statement.first(connection, {}).one == 1
    cursor.execute("ALTER TABLE things ALTER COLUMN name TYPE text")
    assert statement.first(connection, {}).one == 1
    cursor.execute("DROP TABLE things")


def test_a_write_whose_statement_was_unknown_is_done_once(connection: TimedConnection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE SEQUENCE counted")
    count = PreparedStatement(select(func.nextval(text("'counted'")).label("value")))
    for number in range(1, 5):
        assert count.first(connection, {}).value == number
        cursor.execute("DEALLOCATE ALL")
        if number % 2:
            connection.statements.clear()
    cursor.execute("DROP SEQUENCE counted")


def test_what_postgresql_refuses_is_raised(connection: TimedConnection) -> None:
    division = PreparedStatement(select(literal(1).op("/")(bindparam("zero", type_=Integer)).label("x")))
    with pytest.raises(psycopg2.errors.DivisionByZero):
        division.first(connection, {"zero": 0})
    with pytest.raises(psycopg2.errors.UndefinedTable):
        PreparedStatement(select(literal(1).label("one")).select_from(table("nowhere"))).first(connection, {})
    assert NUMBER.first(connection, {"number": 1}).next == 2
