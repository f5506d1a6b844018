"""pgmcp recognises an engine with one session for all connections, because two connections have one pid."""

from collections.abc import Callable

import anyio
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgmcp.execution.supervisor import SHARED_SESSION, Supervisor
from testing.one_session import one_session
from testing.statement_run import value

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

TIMEOUT_S = 30

_STATE = """
select (select count(*) from pg_prepared_statements where name = 'theirs') || ' '
    || (select count(*) from pg_class where relname = 'kept') || ' ' || current_setting('search_path')
    || ' ' || current_setting('statement_timeout')
"""


async def two_at_once(supervisor: Supervisor) -> None:
    """Run two statements, so that both workers connect."""
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(value, supervisor, "select 1 from pg_sleep(0.3)")


async def test_two_connections_with_one_pid_are_one_session(
    supervise: Supervise, module_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with one_session(module_database) as port:
        url = make_conninfo(module_database, host="127.0.0.1", port=port, sslmode="disable")
        supervisor = supervise(url, max_workers=2)
        with anyio.fail_after(TIMEOUT_S):
            while supervisor.pooler != SHARED_SESSION:
                await two_at_once(supervisor)  # one worker may answer both before the other is connected
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
            await other.execute("prepare theirs as select 1")
            await other.execute("create temporary table kept as select 1 as n")

            await two_at_once(supervisor)

            cursor = await other.execute(_STATE)
            assert await cursor.fetchone() == ('1 1 "$user", public 0',)
    assert "are one session" in caplog.text


async def test_separate_sessions_are_not_taken_for_one(supervise: Supervise, module_database: str) -> None:
    supervisor = supervise(module_database, max_workers=2)

    await two_at_once(supervisor)

    assert supervisor.pooler == ""
