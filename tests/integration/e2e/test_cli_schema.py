"""`pgmcp schema` shows a person the tables."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from testing.command_line import run, run_in_terminal
from testing.mcp_server import server_environment


def test_schema_without_words_lists_every_table(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "schema")

    lines = done.stdout.decode().splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("table categories -- ")
    assert done.stderr == b""


def test_a_table_requested_by_name_is_shown_in_full_detail(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "schema", "--table", "payments")

    assert b"  amount       numeric(10,2)" in done.stdout
    assert b"  index payments_order_id_idx" in done.stdout
    assert b"<data" not in done.stdout


def test_schema_finds_the_tables_that_contain_the_words(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "schema", "gift", "card", "--detail", "names")

    assert done.stdout.startswith(b"table payments")


def test_words_that_match_no_table_are_not_a_failure(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "schema", "weather")

    assert (done.returncode, done.stdout) == (0, b"")
    assert b"`pgmcp schema` without words lists all" in done.stderr


def test_a_table_that_the_role_may_not_read_is_named_with_its_grant(
    new_database: Callable[[], str], folder: Path
) -> None:
    url = new_database()
    database = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""
            create table salaries (id int); create table other (id int);
            create role r_{database} login password 'p'; grant select on other to r_{database};
            """.encode()
        )
        try:
            reader = make_conninfo(url, user=f"r_{database}", password="p")
            done = run(server_environment(reader), folder, "schema", "salaries")
        finally:
            connection.execute(f"drop owned by r_{database}; drop role r_{database}".encode())

    assert f"GRANT SELECT ON public.salaries TO r_{database}" in done.stderr.decode()


def test_an_empty_database_gets_a_remark_about_grants(new_database: Callable[[], str], folder: Path) -> None:
    done = run(server_environment(new_database()), folder, "schema")

    assert (done.returncode, done.stdout) == (0, b"")
    assert b"this role may not read any table" in done.stderr


def test_an_unknown_table_is_answered_with_similar_names(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "schema", "--table", "payment")

    assert done.returncode == 2
    assert b"near: payments" in done.stderr


@pytest.mark.parametrize("detail", ["names", "columns", "full"])
def test_escape_sequences_in_names_and_comments_are_escaped(
    detail: str, new_database: Callable[[], str], folder: Path
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('create table "a\x1b]0;b" (c int)')
        connection.execute("comment on table \"a\x1b]0;b\" is '\x1b[2Jgone'")

    done = run(server_environment(url), folder, "schema", "--detail", detail)

    assert rb"a\u001b]0;b" in done.stdout
    assert b"\x1b" not in done.stdout


def test_long_lines_are_folded_between_words_on_a_terminal(
    shop_environment: dict[str, str], folder: Path
) -> None:
    _, shown = run_in_terminal(shop_environment, folder, "schema", "--table", "payments", columns=60)

    assert "  paid_at      timestamp with time zone  not null  about\n      [" in shown
