import logging

import pytest

from pgmcp.refreshing_cache import RefreshingCache

pytestmark = pytest.mark.anyio


async def test_a_value_above_the_maximum_age_is_read_again_before_it_is_returned() -> None:
    now_s = 0.0
    readings: list[float] = []

    async def read() -> float:
        readings.append(now_s)
        return now_s

    cache = RefreshingCache(
        read,
        refresh_interval_s=60,
        max_age_s=600,
        logger=logging.getLogger("test"),
        name="it",
        clock=lambda: now_s,
    )
    assert cache.peek() is None
    await cache.get()
    now_s = 599.0
    assert await cache.get() == 0.0
    assert cache.peek() == 0.0
    await cache.refresh()

    now_s = 599.0 + 600
    assert cache.peek() is None
    assert await cache.get() == now_s
    assert readings == [0.0, 599.0, 1199.0]
