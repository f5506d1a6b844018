"""The evaluated databases, and the questions about them.

Databases are loaded from SQL files. The rows of gold SQL and the names in the schema are read without pgmcp.
A file of questions has one JSON object per line, with a question and the gold SQL that answers it:

    {"id": "q1", "db": "shop", "question": "How many customers are there?",
     "gold_sql": ["select count(*) from customers"], "category": "count", "context": "…", "ordered": false}

`gold_sql` may be a text or a list of alternatives. `context` (notes of the user) and `ordered` (whether the
rows must be in the order of the gold SQL) may be left out. Other keys are ignored. `pgmcp evaluate` reads
context files instead of this format.
"""

import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.bool import BoolLoader
from psycopg.types.string import TextLoader

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.ending_signals import ended_like_ctrl_c
from pgmcp.evaluation.comparison import Row
from pgmcp.evaluation.questions import Question, is_order_asked_for
from pgmcp.evaluation.run import CannotAskError
from scripts.evaluation.near_miss import Names, Reference


class QuestionFileError(Exception):
    """A question file is invalid; the message has the position and the reason."""


def read_questions(file: Path, databases: Collection[str] = ()) -> list[Question]:
    """Return the questions of a file in order.

    Args:
        file: a file in the format above.
        databases: the databases whose questions are returned; all if empty.

    Raises:
        QuestionFileError: a line is not a question, or no question is selected.
    """
    questions = [
        _parse(line, f"{file}:{number}")
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if line.strip()
    ]
    chosen = [question for question in questions if not databases or question.database in databases]
    if not chosen:
        raise QuestionFileError(f"{file} has no question about {', '.join(databases) or 'anything'}")
    return chosen


def _parse(line: str, where: str) -> Question:
    try:
        given = json.loads(line)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise QuestionFileError(f"{where}: expected a question as a JSON object")
    if missing := [key for key in ("id", "question", "gold_sql") if key not in given]:
        raise QuestionFileError(f"{where}: the question has no {' and no '.join(missing)}")
    gold = [given["gold_sql"]] if isinstance(given["gold_sql"], str) else given["gold_sql"]
    if not isinstance(gold, list) or not gold or not all(isinstance(sql, str) for sql in gold):
        raise QuestionFileError(f"{where}: gold_sql must be a text or a list of texts")
    if not isinstance(given["question"], str):
        raise QuestionFileError(f"{where}: the question is not a text")
    return Question(
        id=str(given["id"]),
        database=given.get("db", ""),
        text=given["question"],
        gold_sql=tuple(gold),
        category=given.get("category", ""),
        context=given.get("context") or "",
        is_ordered=given.get("ordered", is_order_asked_for(given["question"], gold)),
    )


_CLUSTER_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_STATEMENT_TIMEOUT_MS = 60_000


@contextmanager
def own_cluster(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a temporary PostgreSQL in `folder`; SIGTERM stops it too."""
    folder.chmod(0o711)  # as root, the server runs as another user, who needs access to the folder
    cluster = EmbeddedPostgres(folder / "cluster", settings=_CLUSTER_SETTINGS)
    with ended_like_ctrl_c():
        try:
            yield cluster.start()
        finally:
            cluster.stop("immediate")


def group_by_database(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each database in their order: `schemas/shop.sql rows/shop.sql` belong to "shop"."""
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(file.stem, []).append(file)
    return groups


def load(admin_url: str, name: str, files: Sequence[Path]) -> str:
    """Create a database from SQL files and return its URL, with a role that can only read it.

    Args:
        admin_url: URL of any database of the cluster, with a superuser.
        name: the name of the new database.
        files: the SQL files, which are run in order, in one transaction.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    owner_url = make_conninfo(admin_url, dbname=name)
    with psycopg.connect(owner_url) as connection:
        for file in files:
            connection.execute(file.read_bytes())
    return grant_reading(owner_url)


def grant_reading(owner_url: str) -> str:
    """Collect statistics, create a role that may read everything, and return its URL."""
    password = secrets.token_urlsafe(16)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        reader = f"{connection.info.dbname}_reader"
        create = sql.SQL("create role {} login password {} in role pg_read_all_data")
        connection.execute(create.format(sql.Identifier(reader), sql.Literal(password)))
        connection.execute("analyze")
    return make_conninfo(owner_url, user=reader, password=password)


class Database:
    """A direct connection without pgmcp, for the expected rows."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(url, autocommit=True)
        self._connection.read_only = True
        self._connection.execute(f"set statement_timeout = {_STATEMENT_TIMEOUT_MS}")
        # Cells are PostgreSQL's text, because Python's types lose the spelling of intervals and numbers.
        self._connection.adapters.register_loader(0, TextLoader)
        for name in ("int2", "int4", "int8", "oid", "float4", "float8", "numeric", "date", "timestamp"):
            self._connection.adapters.register_loader(name, TextLoader)
        for name in ("timestamptz", "time", "timetz", "interval", "uuid", "json", "jsonb", "bytea"):
            self._connection.adapters.register_loader(name, TextLoader)
        self._connection.adapters.register_loader("bool", BoolLoader)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def rows(self, statement: str) -> list[Row]:
        """Return the rows of a statement.

        Raises:
            psycopg.Error: PostgreSQL refused the statement.
        """
        return list(self._connection.execute(statement.encode()).fetchall())

    async def expected_rows(self, question: Question) -> list[list[Row]]:
        """Return the rows of each of a question's gold statements.

        Raises:
            CannotAskError: PostgreSQL refused a gold statement.
        """
        try:
            return [self.rows(statement) for statement in question.gold_sql]
        except psycopg.Error as error:
            raise CannotAskError(f"its gold SQL failed: {error}") from error

    def names(self) -> Names:
        """Return the names of the columns of all tables, and the foreign keys with only one column."""
        columns = self.rows(
            "select distinct column_name::text from information_schema.columns"
            " where table_schema not in ('pg_catalog', 'information_schema')"
        )
        references = self.rows(
            "select r.relname::text, a.attname::text, t.relname::text, b.attname::text"
            " from pg_constraint as c"
            " join pg_class as r on r.oid = c.conrelid join pg_class as t on t.oid = c.confrelid"
            " join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]"
            " join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]"
            " where c.contype = 'f' and cardinality(c.conkey) = 1 order by 1, 2"
        )
        return Names(
            frozenset(str(name) for (name,) in columns),
            tuple(Reference(*(str(name) for name in row)) for row in references),
        )

    def distinct_texts(self, place: tuple[str, str, str], count: int) -> list[Row]:
        """Return up to `count` different values of a column, given as schema, table and column."""
        schema, table, column = map(sql.Identifier, place)
        statement = sql.SQL("select distinct {} from {}.{} limit {}").format(column, schema, table, count)
        return list(self._connection.execute(statement).fetchall())
