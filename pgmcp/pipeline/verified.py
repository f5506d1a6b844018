"""The operator's own SQL for exactly this question, its parameters bound."""

import asyncio

from pgmcp.generation.context_file import VerifiedMatch
from pgmcp.generation.verified import ParameterKind
from pgmcp.lookup.value_check import find_spelling
from pgmcp.pipeline.call import Request
from pgmcp.pipeline.statements import LOOKUP_TIMEOUT_S, StatementRunner


async def find_verified_sql(request: Request, statements: StatementRunner) -> str | None:
    """Return the SQL of the verified question that this one is; None if it is none."""
    for match in await asyncio.to_thread(lambda: list(request.context.matches(request.question))):
        arguments = await _spell_arguments(request, match, statements)
        if arguments is not None:
            return match.verified.bind(arguments)
    return None


async def _spell_arguments(
    request: Request, match: VerifiedMatch, statements: StatementRunner
) -> dict[str, str] | None:
    """Return the arguments, values spelled as their columns hold them; None if a column does not."""
    arguments = dict(match.arguments)
    for name, parameter in match.verified.parameters.items():
        if parameter.kind is ParameterKind.VALUE:
            catalog = await request.database.schema.get()
            fetch = statements.lookup(request.database, timeout_s=LOOKUP_TIMEOUT_S)
            spelling = await find_spelling(parameter.column, arguments[name], catalog, fetch)
            if spelling is None:
                return None
            arguments[name] = spelling
    return arguments
