"""Signals that end a command."""

import asyncio
import errno
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator

import pytest

from pgmcp.ending_signals import deferred, ended_like_ctrl_c, run_coroutine
from pgmcp.errors import WorkerLostError

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")


@pytest.fixture(autouse=True)
def not_under_nohup() -> Iterator[None]:
    """Let SIGHUP end a process, even if the tests run under nohup, which ignores it."""
    old = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, old)


@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", 0)])
def test_a_signal_ends_the_block_with_its_clean_up_and_decides_the_exit_code(number: int) -> None:
    seen = []

    def run() -> None:
        with ended_like_ctrl_c():
            try:
                signal.raise_signal(number)
            finally:
                seen.append("cleaned up")

    with pytest.raises(SystemExit) as ended:
        run()

    assert ended.value.code == 128 + number
    assert seen == ["cleaned up"]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_an_output_that_fails_after_the_signal_does_not_change_the_exit_code() -> None:
    def run() -> None:
        with ended_like_ctrl_c():
            try:
                signal.raise_signal(signal.SIGHUP)
            finally:
                raise OSError(errno.EIO, "the terminal is closed")

    with pytest.raises(SystemExit) as ended:
        run()

    assert ended.value.code == 128 + signal.SIGHUP


def test_an_output_that_fails_without_a_signal_is_raised() -> None:
    with pytest.raises(OSError, match="disk"), ended_like_ctrl_c():
        raise OSError(errno.ENOSPC, "the disk is full")


def test_a_signal_ends_the_block_where_ctrl_c_is_ignored() -> None:
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended, ended_like_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, old)

    assert ended.value.code == 128 + signal.SIGTERM


def test_an_ignored_signal_stays_ignored_as_under_nohup() -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []
    try:
        with ended_like_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
            seen.append("went on")
    finally:
        signal.signal(signal.SIGHUP, old)

    assert seen == ["went on"]


def test_a_second_signal_does_not_interrupt_the_clean_up() -> None:
    seen = []

    def run() -> None:
        with ended_like_ctrl_c():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGHUP)
                seen.append("cleaned up")

    with pytest.raises(SystemExit):
        run()

    assert seen == ["cleaned up"]


def test_ctrl_c_raises_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), ended_like_ctrl_c():
        signal.raise_signal(signal.SIGINT)


def test_a_deferred_signal_comes_at_the_end_of_the_block() -> None:
    seen = []

    def run() -> None:
        with deferred():
            signal.raise_signal(signal.SIGINT)
            seen.append("done")

    with pytest.raises(KeyboardInterrupt):
        run()

    assert seen == ["done"]


def test_outside_the_main_thread_no_handler_changes() -> None:
    handlers = []

    def run() -> None:
        with deferred():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert handlers == [signal.getsignal(signal.SIGINT)]


async def work() -> int:
    return 5


def test_the_result_is_returned() -> None:
    assert run_coroutine(work) == 5


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows cannot hold signals back")
def test_a_signal_before_the_coroutine_begins_leaves_no_coroutine_unawaited() -> None:
    made: list[Coroutine[object, object, int]] = []

    def make_interrupted() -> Coroutine[object, object, int]:
        signal.raise_signal(signal.SIGINT)
        made.append(work())
        return made[0]

    with pytest.raises(KeyboardInterrupt):
        run_coroutine(make_interrupted)

    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED


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
        run_coroutine(work)

    made[0].close()


def test_ctrl_c_counts_if_the_worker_dies_from_it_at_the_same_moment() -> None:
    async def lose_the_worker() -> None:
        signal.raise_signal(signal.SIGINT)  # cancels this task at its next wait
        raise WorkerLostError("the worker ended")

    with pytest.raises(KeyboardInterrupt):
        run_coroutine(lose_the_worker)


def test_a_failure_without_a_signal_is_raised() -> None:
    async def fail() -> None:
        raise WorkerLostError("the worker ended")

    with pytest.raises(WorkerLostError):
        run_coroutine(fail)


INTERRUPTED_BUILD = """
import signal
import subprocess
import sys
import pydantic

build = pydantic.create_model

def create_model(*arguments, **fields):
    signal.raise_signal(signal.SIGINT)
    made = build(*arguments, **fields)
    print("built")
    return made

pydantic.create_model = create_model
try:
    import pgmcp.settings.load
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_waits_while_pydantic_builds_the_model_of_the_settings() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_BUILD], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.split() == ["built", "interrupted"]
