"""Notices a changed context file, and warns of tools whose SQL PostgreSQL cannot plan."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pgmcp.errors import PgmcpError
from pgmcp.generation.verified_tools import Offer, VerifiedTool
from pgmcp.surface.verified_tools import VerifiedTools
from pgmcp.untrusted import escape_untrusted

if TYPE_CHECKING:
    from pgmcp.pipeline import Pipeline

logger = logging.getLogger(__name__)

WATCH_INTERVAL_S: Final = 5.0
"""How often the file's modification time is read; a tool call and a list of tools read it, too."""


async def watch_tools(tools: VerifiedTools, pipeline: "Pipeline") -> None:
    """Check the tools now and after every change of the file, until cancelled."""
    checked = Offer()
    while True:
        await asyncio.to_thread(tools.read)
        if tools.offer is not checked:
            checked = tools.offer
            for tool in checked.tools:
                await _check(tool, pipeline)
        await asyncio.sleep(WATCH_INTERVAL_S)


async def _check(tool: VerifiedTool, pipeline: "Pipeline") -> None:
    """Log a warning if the tool's SQL cannot run; nothing if the database does not answer."""
    identities = pipeline.databases.get(tool.database).identities
    principal = None if identities is None else identities.example()
    with suppress(PgmcpError):
        error = await pipeline.plan_verified(tool.verified, tool.database, principal)
        if error is not None:
            logger.warning(
                "tool %s of database %s cannot run (%s: %s); correct its SQL in the context file",
                tool.name,
                tool.database,
                error.code,
                escape_untrusted(str(error)),
            )
