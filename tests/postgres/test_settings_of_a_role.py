"""What the role, the database and the encoding decide holds, as it does in psql."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from pgmcp.errors import DeadlineExceededError
from pgmcp.execution.supervisor import Supervisor
from tests.statement_run import run, value

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]


def set_for_database(url: str, setting: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(url.rpartition("/")[2])
        connection.execute(sql.SQL("alter database {} set " + setting).format(name))


@pytest.mark.parametrize(
    ("setting", "expression"),
    [
        ("DateStyle = 'ISO, MDY'", "('01/02/03'::date)::text"),
        ("DateStyle = 'ISO, DMY'", "('01/02/03'::date)::text"),
        ("IntervalStyle = 'sql_standard'", "('-1 2:00'::interval = '-26 hours')::text"),
        ("IntervalStyle = 'iso_8601'", "('1 day 2 hours'::interval)::text"),
        ("bytea_output = 'escape'", r"('\x61ff'::bytea)::text"),
        ("extra_float_digits = 0", "(0.1::float8 + 0.2::float8)::text"),
    ],
)
async def test_an_expression_means_what_it_means_in_psql(
    supervise: Supervise, new_database: Callable[[], str], setting: str, expression: str
) -> None:
    url = new_database()
    set_for_database(url, setting)
    with psycopg.connect(url) as psql:
        expected = psql.execute(f"select {expression}".encode()).fetchone()

    assert (await value(supervise(url), f"select {expression}"),) == expected


async def test_bytes_are_shown_in_hex_whatever_the_role_prefers(
    supervise: Supervise, new_database: Callable[[], str]
) -> None:
    url = new_database()
    set_for_database(url, "bytea_output = 'escape'")

    assert await value(supervise(url), r"select '\x615cff'::bytea") == r"\x615cff"


async def test_the_databases_smaller_timeout_holds_and_is_named(
    supervise: Supervise, new_database: Callable[[], str]
) -> None:
    url = new_database()
    set_for_database(url, "statement_timeout = '300ms'")

    with pytest.raises(DeadlineExceededError, match="statement_timeout = 300ms, set for the database"):
        await run(supervise(url), "select pg_sleep(60)")


async def test_a_timeout_in_the_url_holds(supervise: Supervise, new_database: Callable[[], str]) -> None:
    supervisor = supervise(f"{new_database()}?options=-c%20statement_timeout%3D2s")

    assert await value(supervisor, "select current_setting('statement_timeout')") == "2s"


@pytest.mark.parametrize(
    ("query", "text"), [("", "Supervis\ufffdo"), ("?client_encoding=latin1", "Supervisão")]
)
async def test_a_database_in_sql_ascii_is_read_with_its_bad_bytes_marked(
    supervise: Supervise, new_database: Callable[[], str], query: str, text: str
) -> None:
    url = new_database()
    name = f"{url.rpartition('/')[2]}_ascii"
    with psycopg.connect(url, autocommit=True) as admin:
        options = "encoding sql_ascii locale_provider libc locale 'C' template template0"
        admin.execute(f"create database {name} {options}".encode())
    try:
        ascii_url = url.rpartition("/")[0] + f"/{name}"
        with psycopg.connect(ascii_url, client_encoding="SQL_ASCII", autocommit=True) as connection:
            connection.execute(b"create table clients as select 7 as id, E'Supervis\\343o'::text as job")
        supervisor = supervise(ascii_url + query)

        assert (await run(supervisor, "select id, job from clients")).rows == [[7, text]]
        await supervisor.close()
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())
