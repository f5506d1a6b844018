"""Finds pgmcp's own statements in the source code, and reads in the server's log how each of them ran."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg

_SOURCES = Path(__file__).parents[1]
_STATEMENT = re.compile(r"\s*\(?(?:SELECT|WITH)\s(?=.*\bpg_catalog\.)", re.DOTALL)
_LOG_LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\w+):  ?(.*)", re.DOTALL)
_EXECUTED = re.compile(r"(?:execute <unnamed>|statement): (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$\d+ = '((?:[^']|'')*)'")

_START_CHARACTERS = 60


@dataclass(frozen=True)
class LoggedStatement:
    """A statement that ran, from the server's log.

    Attributes:
        begin: the command that began its transaction; "" outside a transaction.
        search_path: the search path that the transaction set; "" if it set none.
    """

    text: str
    begin: str
    search_path: str


def own_statements() -> dict[str, str]:
    """Return the file of each own SQL statement in the source code, by the beginning of the statement."""
    found = {}
    for package in ("pgmcp", "worker"):
        for path in sorted((_SOURCES / package).rglob("*.py")):
            for text in _strings(ast.parse(path.read_text("utf-8"))):
                if _STATEMENT.match(text):
                    found[normalise_spaces(text).partition("{")[0][:_START_CHARACTERS]] = str(
                        path.relative_to(_SOURCES)
                    )
    return found


def _strings(tree: ast.AST) -> Iterator[str]:
    """Yield each string literal; of an f-string, only the text before its first expression."""
    pending = [tree]
    while pending:
        node = pending.pop()
        match node:
            case ast.Constant(value=str() | bytes() as text):
                yield text if isinstance(text, str) else text.decode("latin-1")
            case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
                yield text
            case _:
                pending.extend(ast.iter_child_nodes(node))


def is_own(text: str) -> bool:
    """Return whether a statement is one of pgmcp's own queries."""
    return _STATEMENT.match(text) is not None


def find_inexact(connection: psycopg.Connection, text: str) -> list[str]:
    """Return the implicit casts of a statement, and the functions that it resolves outside pg_catalog.

    The server always chooses an exact match. If it has to convert an operand or argument implicitly, it may
    choose a cast that a user of the database created, or find the call ambiguous.

    Args:
        connection: a session with the search path of pgmcp's own statements; its role may create functions.
    """
    body = re.sub(r"(unnest\()?\$\d+", _parameter, text.rstrip("; \n"))
    connection.execute("create schema if not exists resolved")
    create = f"create or replace function resolved.f() returns void language sql begin atomic {body}; end"
    connection.execute(create.encode())
    rows = connection.execute(_RESOLVED.encode()).fetchall()
    connection.rollback()
    return [str(found) for (found,) in rows]


# The formats are values of CoercionForm; 2 is an implicit cast. Users' objects have OIDs from 16384 on.
_RESOLVED = r"""
select 'implicit:' || m[1]
from pg_proc, regexp_matches(
    prosqlbody::text, '([^{}]{0,100}):(?:func|relabel|coerce|convert)format 2', 'g') as m
where proname = 'f' and pronamespace = 'resolved'::regnamespace
union all
select 'outside pg_catalog: ' || m[1]::oid::regprocedure::text
from pg_proc, regexp_matches(prosqlbody::text, ':(?:op)?funcid (\d+)', 'g') as m
where proname = 'f' and pronamespace = 'resolved'::regnamespace and m[1]::oid >= 16384::oid
"""


def _parameter(match: re.Match[str]) -> str:
    """Return a NULL in place of a parameter, with the parameter's type: oid[] in unnest(), otherwise text."""
    return "unnest(NULL::pg_catalog.oid[]" if match[1] else "NULL::pg_catalog.text"


def normalise_spaces(text: str) -> str:
    """Return SQL without comments, with a single space for any white space."""
    return " ".join(re.sub(r"--[^\n]*", "", text).split())


def read_log(text: str) -> list[LoggedStatement]:
    """Return the statements in a log written with `log_statement = all`."""
    ran: list[LoggedStatement] = []
    begin_by_pid: dict[str, str] = {}
    path_by_pid: dict[str, str] = {}
    for pid, kind, message in _messages(text):
        executed = _EXECUTED.match(message) if kind == "LOG" else None
        if kind == "DETAIL" and "arameters: " in message:
            values = [value.replace("''", "'") for value in _PARAMETER.findall(message)]
            paths = [value for name, value in pairwise(values) if name == "search_path"]
            path_by_pid[pid] = paths[-1] if paths else path_by_pid.get(pid, "")
        if executed is None:
            continue
        statement = executed[1].strip()
        if statement.startswith("BEGIN"):
            begin_by_pid[pid], path_by_pid[pid] = statement, ""
        elif statement == "ROLLBACK":
            begin_by_pid[pid] = path_by_pid[pid] = ""
        elif not statement.startswith("SELECT pg_catalog.set_config($1"):
            ran.append(
                LoggedStatement(
                    normalise_spaces(statement), begin_by_pid.get(pid, ""), path_by_pid.get(pid, "")
                )
            )
    return ran


def find_failed(text: str) -> list[tuple[str, str]]:
    """Return the errors in a log, each with the statement that failed."""
    failed: list[tuple[str, str]] = []
    error_by_pid: dict[str, str] = {}
    for pid, kind, message in _messages(text):
        if kind == "ERROR":
            error_by_pid[pid] = normalise_spaces(message)
        elif kind == "STATEMENT" and pid in error_by_pid:
            failed.append((error_by_pid.pop(pid), normalise_spaces(message)))
    return failed


def _messages(text: str) -> Iterator[tuple[str, str, str]]:
    for record in re.split(r"\n(?!\t)", text):
        if match := _LOG_LINE.match(record):
            yield match[1], match[2], match[3]
