import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import pytest
from mcp import Client
from mcp_types import LoggingMessageNotificationParams

from pgmcp.server.dual_era import DualEraServer
from pgmcp.server.host_log import MAX_WAITING, REPEAT_AFTER_S, HostLog

pytestmark = pytest.mark.anyio


@dataclass
class Host:
    """What a host of a session was told, and a clock that stands still."""

    told: list[str] = field(default_factory=list)
    now_s: float = 0.0
    heard: anyio.Event = field(default_factory=anyio.Event)

    async def listen(self, params: LoggingMessageNotificationParams) -> None:
        self.told.append(str(params.data))
        if params.data == "the end":
            self.heard.set()

    async def hear_all(self, log: HostLog) -> list[str]:
        """Return what was told of all that was logged so far."""
        warn(log, "the end")
        with anyio.fail_after(5):
            await self.heard.wait()
        return self.told[:-1]


@pytest.fixture
async def host() -> Host:
    return Host()


@pytest.fixture
async def server() -> DualEraServer:
    return DualEraServer("test", list_more=list)


@pytest.fixture
async def log(host: Host, server: DualEraServer) -> HostLog:
    return HostLog(server, clock=lambda: host.now_s)


@pytest.fixture
async def session(host: Host, server: DualEraServer, log: HostLog) -> AsyncIterator[Client]:
    async with Client(server, mode="legacy", logging_callback=host.listen) as client:
        yield client


def warn(log: HostLog, text: str, level: int = logging.WARNING) -> None:
    log.handle(logging.LogRecord("pgmcp.serve", level, __file__, 1, text, (), None))


async def test_a_warning_is_told_again_only_after_a_while(host: Host, log: HostLog, session: Client) -> None:
    warn(log, "down")
    await session.list_tools()
    warn(log, "down")
    await session.list_tools()
    host.now_s += REPEAT_AFTER_S
    warn(log, "down")

    assert await host.hear_all(log) == ["down", "down"]


async def test_what_hides_in_a_warning_is_made_visible(host: Host, log: HostLog, session: Client) -> None:
    warn(log, "line\nbreak and \u202e direction")

    assert await host.hear_all(log) == [r"line\nbreak and \u202e direction"]


async def test_only_so_many_warnings_wait_for_a_host_the_newest(
    host: Host, server: DualEraServer, log: HostLog
) -> None:
    for number in range(MAX_WAITING + 5):
        warn(log, f"warning {number}")
    async with Client(server, mode="legacy", logging_callback=host.listen) as client:
        await client.list_tools()
        told = await host.hear_all(log)

    assert told == [f"warning {number}" for number in range(5, MAX_WAITING + 5)]


@pytest.mark.filterwarnings("ignore:The logging capability is deprecated")
async def test_the_level_that_a_host_sets_holds(host: Host, log: HostLog, session: Client) -> None:
    await session.set_logging_level("error")
    warn(log, "a warning")
    warn(log, "an error", logging.ERROR)
    await session.list_tools()
    await session.set_logging_level("warning")

    assert await host.hear_all(log) == ["an error"]
