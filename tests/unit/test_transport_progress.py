import asyncio

import anyio
import pytest

from pgmcp.transport.progress import Progress

pytestmark = pytest.mark.anyio


async def test_a_long_stage_is_reported_again_with_a_growing_number_until_the_call_ends() -> None:
    sent: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    progress = Progress(lambda *notification: sent.put_nowait(notification), interval_s=0.01)
    with anyio.fail_after(5):
        starting = await sent.get()
        progress.report("running the statement")
        messages = [await sent.get() for _ in range(3)]
        progress.stop()

    assert starting[1] == "starting, 0 s so far"
    assert [message for _, message in messages] == [
        "running the statement",
        "running the statement, 0 s so far",
        "running the statement, 0 s so far",
    ]
    numbers = [number for number, _ in messages]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_a_stage_that_ends_in_time_is_reported_once() -> None:
    sent: list[tuple[int, str]] = []
    progress = Progress(lambda *notification: sent.append(notification))

    progress.report("checking the SQL")
    progress.report("running the statement")
    progress.stop()

    assert sent == [(1, "checking the SQL"), (2, "running the statement")]
