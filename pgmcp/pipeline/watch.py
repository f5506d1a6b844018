"""Who hears of a call and of its stages as they begin and end."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from typing import Protocol

from pgmcp.pipeline.call import Call, OnStage, Stage

__all__ = ["Observer", "OnStage", "Watch"]


class Observer(Protocol):
    """Sees every call and every stage of it, and the error that ends one early."""

    def watch_call(self, call: Call) -> AbstractContextManager[object]:
        """Return what is entered when a call begins, and left when it ends."""
        ...

    def watch_stage(self, call: Call, stage: Stage) -> AbstractContextManager[object]:
        """Return what is entered when a stage begins, and left when it ends."""
        ...


class Watch:
    """Times the stages of calls, and tells the observers and whoever called."""

    def __init__(self, observers: Sequence[Observer], clock: Callable[[], float] = time.monotonic) -> None:
        self._observers = observers
        self._clock = clock

    @contextmanager
    def call(self, call: Call) -> Iterator[None]:
        """Surround a whole call."""
        with ExitStack() as watched:
            for observer in self._observers:
                watched.enter_context(observer.watch_call(call))
            yield

    @asynccontextmanager
    async def stage(self, call: Call, stage: Stage) -> AsyncIterator[None]:
        """Surround one stage of a call."""
        if call.on_stage is not None:
            await call.on_stage(stage)
        with ExitStack() as watched:
            for observer in self._observers:
                watched.enter_context(observer.watch_stage(call, stage))
            started_s = self._clock()
            try:
                yield
            finally:
                spent_ms = (self._clock() - started_s) * 1000
                call.elapsed_ms[stage] = call.elapsed_ms.get(stage, 0.0) + spent_ms
