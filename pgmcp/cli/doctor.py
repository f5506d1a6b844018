"""`pgmcp doctor`: what works, what does not, and what to do about it, a line each."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from pgmcp.cli.serve import start_fork_server
from pgmcp.errors import PgmcpError
from pgmcp.generation.verified import ParameterKind
from pgmcp.pipeline import Database, Pipeline
from pgmcp.serve import open_pipeline
from pgmcp.settings import RateLimitSettings, Settings

# What stands for a parameter when its question's SQL is planned; no row has to match.
_SAMPLE_BY_KIND: Final = {
    ParameterKind.DATE: "2026-01-01",
    ParameterKind.NUMBER: "1",
    ParameterKind.TEXT: "any",
    ParameterKind.VALUE: "any",
}


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at: "database main: role".
        cure: what to do about it; "" when nothing is wrong.
    """

    outcome: Outcome
    check: str
    text: str
    cure: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything the settings name."""
    findings = [_model_finding(settings)]
    # A long list of verified questions is no misuse.
    unlimited = settings.model_copy(update={"rate_limit": RateLimitSettings(enabled=False)})
    async with open_pipeline(unlimited, start_fork_server()) as (pipeline, _):
        for name in pipeline.database_names:
            database = pipeline.database(name)
            findings += [finding async for finding in _examine_database(database)]
            findings += [finding async for finding in _examine_verified(pipeline, database)]
    return findings


def run_doctor(settings: Settings, *, as_json: bool) -> tuple[str, bool]:
    """Return the report, and whether nothing failed."""
    findings = asyncio.run(examine(settings))
    is_healthy = all(finding.outcome is not Outcome.FAIL for finding in findings)
    if as_json:
        return json.dumps([asdict(finding) for finding in findings], indent=2) + "\n", is_healthy
    return "".join(_render(finding) for finding in findings), is_healthy


def _render(finding: Finding) -> str:
    cure = f"\n      cure: {finding.cure}" if finding.cure else ""
    return f"{finding.outcome:<4}  {finding.check}: {finding.text}{cure}\n"


def _model_finding(settings: Settings) -> Finding:
    if settings.openai.is_configured:
        endpoint = settings.openai.base_url or "OpenAI"
        return Finding(Outcome.OK, "model", f"{settings.openai.model} at {endpoint} writes SQL")
    return Finding(
        Outcome.WARN,
        "model",
        "no key and no endpoint: `query` answers verified questions only",
        "set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for an endpoint that needs no key",
    )


async def _examine_database(database: Database) -> AsyncIterator[Finding]:
    check = f"database {database.name}"
    try:
        catalog = await database.schema.get()
        yield Finding(
            Outcome.OK, check, f"PostgreSQL {catalog.server_version}, {len(catalog.tables)} tables to read"
        )
        posture = await database.role.posture()
    except PgmcpError as error:
        yield Finding(Outcome.FAIL, check, f"{error.code}: {error}", error.hint)
        return
    if posture.risks:
        yield Finding(
            Outcome.WARN,
            f"{check}: role",
            f"{posture.role} can do more than read: {'; '.join(posture.risks)}",
            "`pgmcp setup-sql` prints a role that can only read; "
            "PG_MCP_SERVER_REQUIRE_READONLY_ROLE=true refuses any other",
        )
    else:
        yield Finding(Outcome.OK, f"{check}: role", f"{posture.role} can only read")


async def _examine_verified(pipeline: Pipeline, database: Database) -> AsyncIterator[Finding]:
    """Plan the SQL of every verified question against the schema as it is now."""
    check = f"database {database.name}: verified questions"
    verified_questions = database.context().verified
    failures = 0
    for verified in verified_questions:
        samples = {name: _SAMPLE_BY_KIND[each.kind] for name, each in verified.parameters.items()}
        try:
            await pipeline.execute_sql(f"EXPLAIN {verified.bind(samples)}", database=database.name)
        except PgmcpError as error:
            failures += 1
            text = f"{verified.question!r} cannot run: {error.code}: {error}"
            yield Finding(Outcome.FAIL, check, text, error.hint or "mend its SQL in PG_MCP_CONTEXT_FILE")
    if verified_questions and not failures:
        yield Finding(Outcome.OK, check, f"{len(verified_questions)} can run")
