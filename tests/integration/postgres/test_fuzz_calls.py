"""The script that searches for wrongly judged calls finds none in a short run, and reports a wrong type."""

import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from scripts.fuzz_calls import TypeJudge
from tests.integration.postgres.test_policy_reader import execute, reader

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", [[], ["--types"]])
def test_a_short_run_finds_no_wrong_verdict(cluster: EmbeddedPostgres, mode: list[str]) -> None:
    command = [sys.executable, "-m", "scripts.fuzz_calls", *mode, "--url", cluster.url()]

    found = subprocess.run(
        [*command, "--statements", "40", "--seed", "4"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.startswith("seed 4: ")


async def test_a_type_that_differs_from_the_servers_is_reported(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(
        url,
        "create table people (id int, name text); insert into people values (1, 'Ada');"
        "create function status(people) returns text language sql immutable as 'select $1.name'",
    )
    stale = await reader(url).read()
    execute(url, "alter table people alter id type bigint, alter name type varchar(9)")
    with psycopg.connect(url, autocommit=True) as connection:
        judge = TypeJudge(connection, stale)

        outcomes = [
            judge.judge(["select ", expression, " from people p"])
            for expression in ("p", "p.id", "coalesce(p.name, 'x')", "p.nothing")
        ]

    assert outcomes == [
        ("one type", ""),
        ("WRONG TYPE", "the server's type is bigint, the validator's integer"),
        ("WRONG TYPE", "the server's type is character varying, the validator's text"),
        ("invalid", ""),
    ]
