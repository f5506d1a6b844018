import asyncio
from typing import Any

import anyio
import pytest

from pgmcp.transport.stdio.progress import Progress

pytestmark = pytest.mark.anyio


async def test_a_long_stage_is_reported_again_with_a_growing_number_until_the_call_ends() -> None:
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    progress = Progress("token", sent.put_nowait, interval_s=0.01)
    with anyio.fail_after(5):
        starting = await sent.get()
        progress.report("running the statement")
        told = [await sent.get() for _ in range(3)]
        progress.stop()

    assert starting["params"]["message"] == "starting, 0 s so far"
    assert [each["params"]["message"] for each in told] == [
        "running the statement",
        "running the statement, 0 s so far",
        "running the statement, 0 s so far",
    ]
    numbers = [each["params"]["progress"] for each in told]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert {each["params"]["progressToken"] for each in told} == {"token"}


async def test_a_stage_that_ends_in_time_is_told_once() -> None:
    sent: list[dict[str, Any]] = []
    progress = Progress(7, sent.append)

    progress.report("checking the SQL")
    progress.report("running the statement")
    progress.stop()

    assert [(each["params"]["progress"], each["params"]["message"]) for each in sent] == [
        (1, "checking the SQL"),
        (2, "running the statement"),
    ]
