"""Ways of working that a person can start by name, as hosts offer them: in a menu, or as /commands.

Each says in which order to use which of our tools. All arguments can be left
out; what is missing is asked of the user.
"""

from typing import Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from pgmcp.errors import UnknownDatabaseError
from pgmcp.pipeline import Pipeline
from pgmcp.presentation.failure import render_error

_DATABASE: Final = PromptArgument(
    name="database", description="Name of a configured database; the default one if left out"
)

EXPLORE: Final = """\
Get to know {database} before anyone asks it something. Use pgmcp's tools; they can only read.
1. search_schema with detail="names": which tables are there?
2. search_schema with tables=[…] for the five to ten that matter most, by their keys, sizes and comments.
3. A few small aggregates with execute_sql: how many rows, from when to when, which states and how often. \
Never fetch whole tables.
Then tell me, on one page: what the data is about, the main tables and how they join, the period it covers, \
and what looks odd or is missing. End with five questions that it can answer well.
"""

ASK: Final = """\
{question}
1. Say which measure, which dates and which states it means. Where two readings would give different \
answers, ask me first.
{steps}
Then answer in your first sentence. Below it: the SQL, what you assumed, and whether rows were cut off.
"""

ASK_BY_QUERY: Final = """\
2. Call query with the question in these exact words and return_type="both".
3. Check its SQL against what is meant: joins that count rows twice, a missing filter, the dates' time zone.
4. If it is wrong or the call fails: search_schema for the exact names, then execute_sql with one SELECT."""

ASK_BY_SQL: Final = """\
2. search_schema for the exact names of tables, columns and values.
3. execute_sql with one SELECT that aggregates in the database. If it fails, mend it by what the error says.
4. Check the result: joins that count rows twice, a missing filter, the dates' time zone."""

EXPLAIN: Final = """\
Find out why a statement is slow, and what would make it faster. {database} is where it runs.
{statement}
1. execute_sql with EXPLAIN before it: this plans the statement and does not run it.
2. search_schema with tables=[…] of its tables and detail="full": types, indexes, estimated rows.
3. Only if the plan looks bearable: execute_sql with EXPLAIN (ANALYZE, BUFFERS) before it. \
This runs the statement, up to pgmcp's time limit; say so before you do it.
4. Name the step that costs most and why: rows estimated and real, an index that is missing or cannot be \
used, a join that multiplies rows, a sort or hash that spills to disk.
Then propose, the most effective first: a rewritten SELECT, with its EXPLAIN beside the old one; an index, \
as CREATE INDEX for someone who may run it. Nothing here can change the database, so do not try.
"""


def add_prompts(server: MCPServer[Any], pipeline: Pipeline) -> None:
    """Offer the prompts; how a question is asked depends on whether `query` is offered."""

    def name_database(name: str) -> str:
        """Return how a text calls the database."""
        try:
            return f"the database {pipeline.database(name or None).name}"
        except UnknownDatabaseError as error:
            raise MCPError(code=INVALID_PARAMS, message=render_error(error)) from error

    async def explore_database(database: str = "") -> str:
        return EXPLORE.format(database=name_database(database))

    async def ask_question(question: str = "", database: str = "") -> str:
        where = name_database(database)
        asked = f"Answer this question from {where}:\n{question}" if question else ""
        steps = ASK_BY_QUERY if pipeline.can_answer_questions else ASK_BY_SQL
        return ASK.format(question=asked or f"Ask me what I want to know from {where}.", steps=steps)

    async def explain_slow_query(sql: str = "", database: str = "") -> str:
        statement = f"```sql\n{sql.strip()}\n```" if sql.strip() else "Ask me for the statement first."
        return EXPLAIN.format(database=name_database(database), statement=statement)

    # Not by the decorator: it builds a pydantic model for each, and a host waits for that at every start.
    server.add_prompt(
        Prompt(
            name="explore_database",
            title="Explore a database",
            description="What it holds: main tables, how they join, the period, questions worth asking.",
            arguments=[_DATABASE],
            fn=explore_database,
            context_kwarg=None,
        )
    )
    server.add_prompt(
        Prompt(
            name="ask_question",
            title="Ask a question well",
            description="An exact question, its SQL checked, and the answer with what was assumed.",
            arguments=[
                PromptArgument(name="question", description="What to find out, in plain language"),
                _DATABASE,
            ],
            fn=ask_question,
            context_kwarg=None,
        )
    )
    server.add_prompt(
        Prompt(
            name="explain_slow_query",
            title="Explain a slow query",
            description="Why a statement is slow, by its plan, and what would make it faster.",
            arguments=[PromptArgument(name="sql", description="The slow SELECT"), _DATABASE],
            fn=explain_slow_query,
            context_kwarg=None,
        )
    )
