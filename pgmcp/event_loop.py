"""Runs a coroutine in an event loop of its own, for commands."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine and return its result, as `asyncio.run` does.

    A signal may raise an exception before the event loop exists. `asyncio.run` then leaves the coroutine
    behind, and Python warns on standard error that it "was never awaited". Here the coroutine is closed.
    """
    try:
        return asyncio.run(coroutine)
    finally:
        coroutine.close()
