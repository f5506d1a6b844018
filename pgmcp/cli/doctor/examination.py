"""The whole examination: what waits for what, and the order in which a person reads it."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from pgmcp.cli.doctor import hosts, machine, model
from pgmcp.cli.doctor.databases import examine_database
from pgmcp.cli.doctor.report import (
    Finding,
    as_json,
    found_failure,
    found_unexpected,
    is_healthy,
    print_report,
)
from pgmcp.cli.doctor.settings import examine_settings
from pgmcp.cli.doctor.subject import Subject
from pgmcp.cli.serve import start_fork_server
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import PgmcpError
from pgmcp.execution.fork_server import ForkServer
from pgmcp.observability.log_format import configure_logging
from pgmcp.serve import open_pipeline
from pgmcp.settings import OpenAISettings, RateLimitSettings, ServerSettings, Settings
from pgmcp.settings.origins import find_address
from pgmcp.tokens import TokenCounter

WORKERS: Final = 2
"""Of each database: one runs a statement, the other looks whether it does."""

Check = Callable[[], Finding | list[Finding] | Awaitable[Finding | list[Finding]]]
"""Looks at one thing of this machine, or at the model."""

_REPORT_IT: Final = "please report it with the output of `pgmcp doctor --json`"


def run_doctor(*, with_json: bool) -> bool:
    """Examine everything and print the report; return whether nothing failed."""
    configure_logging("ERROR")  # what others log as a warning is a finding here
    terminal = Terminal()
    with terminal.progress() as say:
        say("settings")
        findings = asyncio.run(_collect(say))
    if with_json:
        terminal.write_exactly(as_json(findings))
    else:
        print_report(terminal, findings)
    return is_healthy(findings)


async def _collect(say: Callable[[str], None]) -> list[Finding]:
    findings = []
    async for finding in examine():
        say(finding.check)
        findings.append(finding)
    return findings


async def examine(environ: Mapping[str, str] | None = None) -> AsyncIterator[Finding]:
    """Give all findings; nothing is left running when this ends."""
    fork_server = start_fork_server()
    settings, found = examine_settings(environ)
    for finding in found:
        yield finding
    async with AsyncExitStack() as cleanup:
        if fork_server:
            cleanup.callback(fork_server.close)
        async for finding in examine_machine(settings, fork_server):
            yield finding
        if settings is None:
            return
        try:
            async for finding in examine_remote(settings, fork_server):
                yield finding
        except PgmcpError as error:  # what serving would not start with, either
            yield found_failure("settings", error)
        except Exception as error:
            yield found_unexpected("databases", error, _REPORT_IT)


async def examine_machine(
    settings: Settings | None, fork_server: ForkServer | None
) -> AsyncIterator[Finding]:
    """Look at this machine, with the defaults where the settings cannot be used."""
    openai, server = (settings.openai, settings.server) if settings else (OpenAISettings(), ServerSettings())
    memory_limit_mb = server.worker_memory_mb if sys.platform == "linux" else 0
    checks: tuple[tuple[str, Check], ...] = (
        (f"{machine.CHECK}: program", machine.check_program),
        (f"{machine.CHECK}: guards", machine.check_guards),
        (
            f"{machine.CHECK}: worker",
            partial(machine.check_worker_start, fork_server, memory_limit_mb=memory_limit_mb),
        ),
        (f"{machine.CHECK}: cache folder", machine.check_cache_folder),
        (f"{machine.CHECK}: token ranks", lambda: machine.check_token_ranks(TokenCounter(openai.model))),
        (hosts.CHECK, hosts.check_hosts),
    )
    for name, check in checks:
        for finding in await run_check(name, check):
            yield finding


async def run_check(name: str, check: Check) -> list[Finding]:
    """Return what a check found; an error of any kind is a finding, too."""
    try:
        found = check()
        if inspect.isawaitable(found):
            found = await found
    except PgmcpError as error:
        return [found_failure(name, error)]
    except Exception as error:
        return [found_unexpected(name, error, _REPORT_IT)]
    return [found] if isinstance(found, Finding) else found


async def examine_remote(settings: Settings, fork_server: ForkServer | None) -> AsyncIterator[Finding]:
    """Ask the model and every database at once, so that none waits for another's timeouts."""
    async with open_pipeline(_for_examination(settings), fork_server) as (pipeline, _):
        endpoint = model.describe_endpoint(settings.openai)
        subjects = [
            Subject(pipeline.database(name), pipeline, find_address(database), settings, endpoint)
            for name, database in settings.databases.items()
        ]
        work = [
            run_check(model.CHECK, partial(model.examine_model, settings.openai)),
            *map(_examine_to_the_end, subjects),
        ]
        examinations = [asyncio.create_task(each) for each in work]
        try:
            for examination in examinations:
                for finding in await examination:
                    yield finding
        finally:
            for examination in examinations:
                examination.cancel()
            await asyncio.wait(examinations)


async def _examine_to_the_end(subject: Subject) -> list[Finding]:
    return [finding async for finding in examine_database(subject)]


def _for_examination(settings: Settings) -> Settings:
    """Return the settings with connections for the checks alone, and no budget that they could use up."""
    size = {"min_pool_size": 0, "max_pool_size": WORKERS}
    databases = {name: each.model_copy(update=size) for name, each in settings.databases.items()}
    unlimited = RateLimitSettings(enabled=False)
    return settings.model_copy(update={"databases": databases, "rate_limit": unlimited})
