import asyncio
import inspect

import pytest

from pgmcp.event_loop import run_coroutine


async def work() -> int:
    return 5


def test_the_result_is_returned() -> None:
    assert run_coroutine(work()) == 5


def test_a_signal_before_the_loop_exists_leaves_no_coroutine_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> asyncio.AbstractEventLoop:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio.events, "new_event_loop", interrupt)
    coroutine = work()

    with pytest.raises(KeyboardInterrupt):
        run_coroutine(coroutine)

    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
