import asyncio
import importlib
import inspect
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from pgmcp.transport.stdio.host_log import MAX_WAITING, REPEAT_AFTER_S, SHOWN_LOGGERS, HostLog

pytestmark = pytest.mark.anyio


@dataclass
class Host:
    """Records the messages to a host; its clock moves only when a test changes `now_s`."""

    messages: list[str] = field(default_factory=list)
    now_s: float = 0.0

    def hear(self, message: dict[str, Any]) -> None:
        self.messages.append(message["params"]["data"])


@pytest.fixture
async def host() -> Host:
    return Host()


@pytest.fixture
async def log(host: Host) -> HostLog:
    return HostLog(host.hear, clock=lambda: host.now_s)


async def warn(log: HostLog, text: str, level: int = logging.WARNING) -> None:
    log.handle(logging.LogRecord("pgmcp.composition", level, __file__, 1, text, (), None))
    await asyncio.sleep(0)  # the event loop sends log records in its next iteration


async def test_a_warning_is_repeated_only_after_a_while(host: Host, log: HostLog) -> None:
    log.open_session()
    await warn(log, "down")
    await warn(log, "down")
    host.now_s += REPEAT_AFTER_S
    await warn(log, "down")

    assert host.messages == ["down", "down"]


async def test_hidden_characters_in_a_warning_become_visible(host: Host, log: HostLog) -> None:
    log.open_session()
    await warn(log, "line\nbreak and \u202e direction")

    assert host.messages == [r"line\nbreak and \u202e direction"]


async def test_only_the_newest_warnings_are_kept_for_a_host(host: Host, log: HostLog) -> None:
    for number in range(MAX_WAITING + 5):
        await warn(log, f"warning {number}")
    log.open_session()

    assert host.messages == [f"warning {number}" for number in range(5, MAX_WAITING + 5)]


async def test_only_messages_from_the_hosts_level_on_are_sent(host: Host, log: HostLog) -> None:
    log.open_session()
    log.lowest_level = "error"
    await warn(log, "a warning")
    await warn(log, "an error", logging.ERROR)

    assert host.messages == ["an error"]


@pytest.mark.parametrize(
    ("level", "messages"), [("info", ["a warning"]), ("error", []), ("loud", []), (None, [])]
)
async def test_a_request_gets_the_waiting_messages_from_its_level_on(
    level: str | None, messages: list[str], host: Host, log: HostLog
) -> None:
    await warn(log, "a warning")
    log.send_with_request(level)

    assert host.messages == messages


@pytest.mark.parametrize("name", SHOWN_LOGGERS)
def test_the_warnings_that_hosts_get_are_logged_by_modules_that_exist(name: str) -> None:
    module = inspect.getsource(importlib.import_module(name))

    assert "logger.warning(" in module or "logger.error(" in module
