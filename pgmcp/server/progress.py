"""What a call tells its host while it runs: who asked is known here, and which stage has begun.

A host that wants progress gives a token with its call; without one nothing is
sent, and the pipeline is not even asked to tell.
"""

from collections import Counter
from typing import Any, Final

from mcp.server.mcpserver import Context

from pgmcp.pipeline import OnStage, Stage
from pgmcp.presentation.neutral import neutralise, shorten

MAX_CALLER_CHARACTERS: Final = 100
"""Of a host's name of itself, which goes into logs."""

_MESSAGE_BY_STAGE: Final = {
    Stage.SCHEMA: "reading the schema",
    Stage.PROMPT: "finding the tables it needs",
    Stage.MODEL: "asking the model",
    Stage.VALIDATE: "checking the SQL",
    Stage.PLAN: "planning the statement",
    Stage.EXECUTE: "running the statement",
    Stage.CHECK: "checking the answer",
}


def caller_of(context: Context[Any, Any]) -> str:
    """Return the host's name and version as it gave them, "claude-code 2.1"; "" if it gave none."""
    params = context.session.client_params
    if params is None:
        return ""
    return neutralise(
        shorten(f"{params.client_info.name} {params.client_info.version}".strip(), MAX_CALLER_CHARACTERS)
    )


def progress_of(context: Context[Any, Any]) -> OnStage | None:
    """Return what tells the host of each stage of its call; None if it did not ask."""
    meta = context.request_context.meta
    if meta is None or "progress_token" not in meta:
        return None
    begun: Counter[Stage] = Counter()

    async def tell(stage: Stage) -> None:
        begun[stage] += 1
        # How many stages there will be depends on what the model writes, so no total is promised.
        await context.report_progress(begun.total(), message=_describe(stage, begun[stage]))

    return tell


def _describe(stage: Stage, times: int) -> str:
    if stage is Stage.MODEL and times > 1:
        return f"mending the SQL, attempt {times}"
    return _MESSAGE_BY_STAGE[stage]
