import asyncio
import inspect
import signal

import pytest

from pgmcp.ending_signals import run_coroutine


async def work() -> int:
    return 5


def test_the_result_is_returned() -> None:
    assert run_coroutine(work()) == 5


def test_a_signal_before_the_loop_exists_leaves_no_coroutine_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> asyncio.AbstractEventLoop:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "new_event_loop", interrupt)
    coroutine = work()

    with pytest.raises(KeyboardInterrupt):
        run_coroutine(coroutine)

    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows cannot hold signals back")
def test_a_signal_waits_until_the_loop_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[asyncio.AbstractEventLoop] = []
    new_event_loop = asyncio.new_event_loop

    def interrupted() -> asyncio.AbstractEventLoop:
        signal.raise_signal(signal.SIGINT)
        made.append(new_event_loop())
        return made[0]

    monkeypatch.setattr(asyncio, "new_event_loop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_coroutine(work())

    made[0].close()
