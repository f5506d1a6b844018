"""Runs a coroutine in an event loop of its own, for commands."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine and return its result, as `asyncio.run` does.

    A signal may raise an exception before the coroutine begins, as Ctrl-C does. `asyncio.run` then leaves
    parts behind, about which Python complains on standard error: a coroutine that "was never awaited", and
    an event loop that is not complete. Here the coroutine is closed, and nothing interrupts the making
    of the loop.
    """
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            return runner.run(coroutine)
    finally:
        coroutine.close()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return asyncio.new_event_loop()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return asyncio.new_event_loop()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
