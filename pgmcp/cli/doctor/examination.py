"""Runs all checks and prints their results in a fixed order."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from pgmcp.cli.doctor import http, machine, model
from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.databases import examine_database
from pgmcp.cli.doctor.report import (
    Check,
    CheckResult,
    NamedCheck,
    as_json,
    failed_check,
    is_healthy,
    print_report,
    unexpected_failure,
)
from pgmcp.cli.doctor.settings import examine_settings
from pgmcp.cli.serve import start_fork_server
from pgmcp.cli.terminal import Terminal
from pgmcp.composition import open_pipeline
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import PgmcpError
from pgmcp.execution.fork_server import ForkServer
from pgmcp.features import features
from pgmcp.observability.call_log import configure_logging
from pgmcp.settings import OpenAISettings, RateLimitSettings, ServerSettings, Settings
from pgmcp.settings.address import find_address
from pgmcp.tokens import TokenCounter

WORKERS: Final = 2
"""Per database: one runs a statement, the other observes it."""

_REPORT_IT: Final = "please report it with the output of `pgmcp doctor --json`"


def run_doctor(*, with_json: bool) -> bool:
    """Run all checks and print the report; return whether none failed."""
    configure_logging("ERROR")  # the results report what other modules log as warnings
    terminal = Terminal()
    with terminal.progress() as say:
        say("settings")
        results = run_coroutine(lambda: _collect(say))
    if with_json:
        terminal.write_exactly(as_json(results))
    else:
        print_report(terminal, results)
    return is_healthy(results)


async def _collect(say: Callable[[str], None]) -> list[CheckResult]:
    results = []
    async for result in examine():
        say(result.check)
        results.append(result)
    return results


async def examine(environ: Mapping[str, str] | None = None) -> AsyncIterator[CheckResult]:
    """Yield all results; no process is left running at the end."""
    fork_server = start_fork_server()
    settings, found = examine_settings(environ)
    for result in found:
        yield result
    async with AsyncExitStack() as cleanup:
        if fork_server:
            cleanup.callback(fork_server.close)
        async for result in examine_machine(settings, fork_server):
            yield result
        if settings is None:
            return
        try:
            async for result in examine_remote(settings, fork_server):
                yield result
        except PgmcpError as error:  # the server would not start either
            yield failed_check("settings", error)
        except Exception as error:
            yield unexpected_failure("databases", error, _REPORT_IT)


async def examine_machine(
    settings: Settings | None, fork_server: ForkServer | None
) -> AsyncIterator[CheckResult]:
    """Check this machine, with default settings if the settings are invalid."""
    openai, server = (settings.openai, settings.server) if settings else (OpenAISettings(), ServerSettings())
    memory_limit_mb = server.worker_memory_mb if sys.platform == "linux" else 0
    checks: tuple[NamedCheck, ...] = (
        (f"{machine.CHECK}: program", machine.check_program),
        (f"{machine.CHECK}: guards", machine.check_guards),
        (
            f"{machine.CHECK}: worker",
            partial(machine.check_worker_start, fork_server, memory_limit_mb=memory_limit_mb),
        ),
        *(check for feature in features() for check in feature.checks()),
        (f"{machine.CHECK}: token counting", lambda: machine.check_token_ranks(TokenCounter(openai.model))),
        (machine.HOSTS_CHECK, machine.check_hosts),
    )
    for name, check in checks:
        for result in await run_check(name, check):
            yield result


async def run_check(name: str, check: Check) -> list[CheckResult]:
    """Return the results of a check; any error becomes a result."""
    try:
        found = check()
        if inspect.isawaitable(found):
            found = await found
    except PgmcpError as error:
        return [failed_check(name, error)]
    except Exception as error:
        return [unexpected_failure(name, error, _REPORT_IT)]
    return [found] if isinstance(found, CheckResult) else found


async def examine_remote(settings: Settings, fork_server: ForkServer | None) -> AsyncIterator[CheckResult]:
    """Check the model, the issuer and all databases in parallel, so that none waits for another's timeout."""
    async with open_pipeline(_for_examination(settings), fork_server) as (pipeline, _):
        endpoint = model.describe_endpoint(settings.openai)
        contexts = [
            CheckContext(pipeline.databases.get(name), pipeline, find_address(database), settings, endpoint)
            for name, database in settings.databases.items()
        ]
        work = [
            run_check(model.CHECK, partial(model.examine_model, settings.openai)),
            run_check(http.CHECK, partial(http.examine_http, settings.http)),
            run_check(http.FLEET_CHECK, partial(http.examine_fleet, settings.rate_limit, settings.http)),
            *map(_examine_to_the_end, contexts),
        ]
        examinations = [asyncio.create_task(each) for each in work]
        try:
            for examination in examinations:
                for result in await examination:
                    yield result
        finally:
            for examination in examinations:
                examination.cancel()
            await asyncio.wait(examinations)


async def _examine_to_the_end(context: CheckContext) -> list[CheckResult]:
    return [result async for result in examine_database(context)]


def _for_examination(settings: Settings) -> Settings:
    """Return settings with only the connections needed for checks, and without rate limits."""
    databases = {
        name: replace(each, min_pool_size=0, max_pool_size=WORKERS)
        for name, each in settings.databases.items()
    }
    unlimited = RateLimitSettings(enabled=False)
    return replace(settings, databases=databases, rate_limit=unlimited)
