"""Runs commands so that signals end them cleanly.

SIGTERM and a closed terminal end a command as Ctrl-C does, which cancels its statement. An ignored signal
stays ignored, for example SIGHUP under nohup.
"""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeVar

_KILLED: Final = 128
"""Added to the number of the signal that ended a program, as shells do."""

_ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, a request to end, and a closed terminal; Windows has no SIGHUP."""


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a program and that this process does not ignore."""
    return [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def exit_code_of_signal(number: int) -> int:
    """Return the exit code of a program that a signal ended."""
    return _KILLED + number


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, and exit with the code of the signal.

    After a signal, an OSError does not change the exit code: a closed terminal cannot be written.

    Outside the main thread, nothing changes.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not received:  # a second signal must not interrupt the clean-up after the first one
            received.append(number)
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell started the program with `&`
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    with _handlers(interrupt, except_for=signal.SIGINT):
        try:
            yield
        except (KeyboardInterrupt, OSError):
            if received:
                sys.exit(exit_code_of_signal(received[0]))
            raise


@contextmanager
def deferred() -> Iterator[None]:
    """Hold the signals that end a program back until the end of the block.

    Outside the main thread, nothing changes.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with _handlers(lambda number, frame: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)


@contextmanager
def _handlers(handle: Any, except_for: int = 0) -> Iterator[None]:
    old = {number: signal.signal(number, handle) for number in ending_signals() if number != except_for}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


T = TypeVar("T")


def run_coroutine(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Make a coroutine, run it and return its result, as `asyncio.run` does.

    A signal such as Ctrl-C may raise an exception before the coroutine begins. After `asyncio.run`, Python
    then warns on standard error of a coroutine that "was never awaited", and of an incomplete event loop.
    Here, signals wait until both are made, and the coroutine is always closed.

    If the coroutine was cancelled by a signal and fails with an error, the cancellation is raised. For
    example, a child process may have got the same signal from the terminal.
    """
    coroutine = None
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            with _without_signals():
                coroutine = make()
            return runner.run(_unless_cancelled(coroutine))
    finally:
        if coroutine is not None:
            coroutine.close()


async def _unless_cancelled(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except Exception:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise


def _new_event_loop() -> asyncio.AbstractEventLoop:
    with _without_signals():
        return asyncio.new_event_loop()


@contextmanager
def _without_signals() -> Iterator[None]:
    """Hold signals back until the block has ended."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
