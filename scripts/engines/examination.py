"""Examines one engine with `pgmcp doctor` and with calls over stdio, as a host sends them."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from pgmcp.execution.spawn import spawn_cold
from scripts.engines.base import Engine, Target
from testing.activity import until
from testing.command_line import run
from testing.mcp_server import server_environment
from testing.packages import MissingEngineError
from testing.raw_jsonrpc import RawServer, ToolResult
from testing.trapped_database import READER, Trapped, find_faults, run_every_statement, set_traps

SHORT_TIMEOUT_S: Final = 1
LONG_TIMEOUT_S: Final = 60
SEEN_WITHIN_S: Final = 10.0

_READ: Final = "select id, label from engine_check order by id limit 3"
_ROWS: Final = [[1, "label 1"], [2, "label 2"], [3, "label 3"]]
_MISTAKE: Final = "select lable from engine_check"
# A nested loop of some seconds. It ends by itself, also on an engine without a statement timeout.
_SLOW: Final = (
    "select count(*) from generate_series(1, 10000) as a, generate_series(1, 5000) as b "
    "where a + b * 7 % 5 = 3"
)
_ENDLESS: Final = (
    "select count(*) as engine_check_endless from generate_series(1, 100000) as a, "
    "generate_series(1, 100000) as b where a + b * 7 % 5 = 3"
)
_TRAPPED: Final = "trapped"
_SHOWN_FAULTS: Final = 5
_ENDLESS_RUNS: Final = """
select exists (select from pg_stat_activity
 where state = 'active' and pid <> pg_backend_pid() and strpos(query, 'engine_check_endless') > 0)
"""


@dataclass
class Row:
    """One engine's line of the table.

    Attributes:
        missing: why the engine is not available or did not start; "" if it ran.
    """

    engine: str
    version: str
    works: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    missing: str = ""


def examine(engine: Engine) -> Row:
    """Start an engine, run everything against it, and return its row."""
    row = Row(engine.name, engine.version)
    try:
        with engine.start() as target:
            _run_doctor(row, target)
            _run_calls(row, target)
            if target.log_file is not None:
                asyncio.run(_run_own_statements(row, target.direct_url, target.log_file))
    except MissingEngineError as error:
        row.missing = str(error)
    except Exception as error:  # so that the other engines are still examined
        row.missing = f"the run ended with {type(error).__name__}: {' '.join(str(error).split())[-300:]}"
    return row


def _run_doctor(row: Row, target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = run(server_environment(target.url), Path(folder), "doctor", "--json")
    results = [
        (each["check"].partition(": ")[2], each)
        for each in json.loads(done.stdout)
        if each["check"].startswith("database ")
    ]
    proved = [name for name, each in results if each["status"] == "ok"]
    row.works.append(f"doctor: {', '.join(proved)}" if proved else "")
    row.fails += [
        f"doctor, {name} ({each['status']}): {each['text']}"
        for name, each in results
        if each["status"] != "ok"
    ]
    for name, each in results:
        if name == "version" and each["status"] == "ok":
            server = each["text"].partition(" (")[0]
            row.version = f"{row.version} on {server}" if row.version else server.removeprefix("PostgreSQL ")


def _run_calls(row: Row, target: Target) -> None:
    with _server(target, LONG_TIMEOUT_S) as server:
        first = server.call("execute_sql", sql=_READ)
        if first.is_error:
            row.fails.append(f"read: {_first_line(first)}")
            return
        _note(row, "read", first.rows == _ROWS, str(first.rows))
        found = server.call("search_schema", text="engine label")
        _note(row, "schema search", not found.is_error and "engine_check" in found.text, _first_line(found))
        wrong = server.call("execute_sql", sql=_MISTAKE)
        has_position = wrong.code == "statement_failed" and "^" in wrong.text and "label" in wrong.text
        _note(row, "error with its position", has_position, _first_line(wrong))
        _run_reads(row, server, target)
        _run_cancel(row, server, target)
    with _server(target, SHORT_TIMEOUT_S) as server:
        server.call("execute_sql", sql=_READ)
        _judge_timeout(row, server.call("execute_sql", sql=_SLOW))


def _run_reads(row: Row, server: RawServer, target: Target) -> None:
    answers = [(sql, server.call("execute_sql", sql=sql)) for sql in target.reads]
    refused = [f"`{sql}`: {_first_line(answer)}" for sql, answer in answers if answer.is_error]
    if answers:
        row.works.append(f"{len(answers) - len(refused)} of {len(answers)} reads with the extension")
    row.fails += refused


def _run_cancel(row: Row, server: RawServer, target: Target) -> None:
    """Cancel a statement as a host does, and check on the server whether it ended."""
    if not target.direct_url:
        row.fails.append("cancel: not tested, because the server's only session is busy meanwhile")
        return
    with psycopg.connect(target.direct_url, autocommit=True) as connection:

        def runs() -> bool:
            ((answer,),) = connection.execute(_ENDLESS_RUNS.encode()).fetchall()
            return bool(answer)

        request_id = server.start_call("execute_sql", sql=_ENDLESS)
        _wait(runs, "the statement runs")
        server.notify("notifications/cancelled", requestId=request_id)
        _note(row, "cancel", _wait(lambda: not runs()), "the statement still ran")
    after = server.call("execute_sql", sql=_READ)
    _note(row, "read after cancel", not after.is_error, _first_line(after))


async def _run_own_statements(row: Row, admin_url: str, log_file: Path) -> None:
    """Run all of pgmcp's own statements in a database full of traps."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"create database {_TRAPPED}".encode())
        connection.execute(f"create role {READER} login password 'pass'".encode())
    url = f"{admin_url.rpartition('/')[0]}/{_TRAPPED}"
    set_traps(url, "public", '"$user", public')
    trapped = Trapped(url, log_file)
    faults = find_faults(trapped, await run_every_statement(trapped, spawn_cold))
    _note(row, "own statements", not faults, "; ".join(faults[:_SHOWN_FAULTS]))


def _wait(is_so: Callable[[], bool], what: str = "") -> bool:
    """Return True once a condition holds. On a timeout, raise an error with `what`; for "", return False."""
    try:
        until(is_so, what, SEEN_WITHIN_S)
    except AssertionError:
        if what:
            raise
        return False
    return True


def _judge_timeout(row: Row, answer: ToolResult) -> None:
    is_stopped = answer.code == "timeout" and "on the server too" in answer.text
    _note(row, "timeout", is_stopped, _first_line(answer))


@contextmanager
def _server(target: Target, timeout_s: int) -> Iterator[RawServer]:
    environment = server_environment(
        target.url,
        server_query_timeout=str(timeout_s),
        database_min_pool_size="1",
        database_max_pool_size=str(target.max_connections),
    )
    with tempfile.TemporaryDirectory() as folder, RawServer(environment, Path(folder)) as server:
        server.initialize()
        yield server


def _note(row: Row, what: str, works: bool, seen: str) -> None:
    if works:
        row.works.append(what)
    else:
        row.fails.append(f"{what}: {seen}")


def _first_line(answer: ToolResult) -> str:
    return answer.text.partition("\n")[0][:200]


def as_markdown(rows: list[Row]) -> str:
    """Return the table, followed by a list of missing engines."""
    lines = ["| engine or pooler | version | works | does not work |", "|---|---|---|---|"]
    lines += [
        f"| {row.engine} | {row.version} | {_cell(row.works)} | {_cell(row.fails)} |"
        for row in rows
        if not row.missing
    ]
    missing = [f"- {row.engine} {row.version}: {row.missing}" for row in rows if row.missing]
    if missing:
        lines += ["", "Not run:", "", *missing]
    return "\n".join(lines) + "\n"


def _cell(parts: list[str]) -> str:
    return "; ".join(part for part in parts if part).replace("|", "\\|").replace("\n", " ")
