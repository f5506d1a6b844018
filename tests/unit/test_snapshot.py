import logging

import pytest

from pgmcp.snapshot import Snapshot

pytestmark = pytest.mark.anyio


async def test_a_snapshot_that_is_too_old_is_read_again_before_it_is_given_out() -> None:
    now_s = 0.0
    readings: list[float] = []

    async def read() -> float:
        readings.append(now_s)
        return now_s

    snapshot = Snapshot(
        read,
        refresh_interval_s=60,
        max_age_s=600,
        logger=logging.getLogger("test"),
        name="it",
        clock=lambda: now_s,
    )
    assert snapshot.peek() is None
    await snapshot.get()
    now_s = 599.0
    assert await snapshot.get() == 0.0
    assert snapshot.peek() == 0.0
    await snapshot.refresh()

    now_s = 599.0 + 600
    assert snapshot.peek() is None
    assert await snapshot.get() == now_s
    assert readings == [0.0, 599.0, 1199.0]
