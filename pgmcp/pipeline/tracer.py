"""Reports a call and its stages to observers, and times the stages."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from pgmcp.pipeline.call import Call, OnStage, Stage

__all__ = ["Observer", "OnStage", "Tracer"]


class Observer(Protocol):
    """Observes every call, its stages, and their errors.

    Its context managers are entered when a call or stage begins, and left when it ends. They must neither
    raise errors nor suppress those of the call.
    """

    def observe_call(self, call: Call) -> AbstractContextManager[object]:
        """Return a context manager for a call."""
        ...

    def observe_stage(self, call: Call, stage: Stage) -> AbstractContextManager[object] | None:
        """Return a context manager for a stage, or None."""
        ...


class Tracer:
    """Times the stages of calls, and reports them to observers and to the caller."""

    def __init__(self, observers: Sequence[Observer], clock: Callable[[], float] = time.monotonic) -> None:
        self._observers = observers
        self._clock = clock

    def call(self, call: Call) -> AbstractContextManager[object]:
        """Return a context manager for a whole call."""
        if len(self._observers) == 1:
            return self._observers[0].observe_call(call)
        return _ContextGroup([observer.observe_call(call) for observer in self._observers])

    def stage(self, call: Call, stage: Stage) -> AbstractContextManager[object]:
        """Return a context manager for one stage of a call."""
        contexts = None
        for observer in self._observers:
            if (context := observer.observe_stage(call, stage)) is not None:
                contexts = [*(contexts or ()), context]
        return _TimedStage(call, stage, self._clock, _ContextGroup(contexts) if contexts else None)


class _ContextGroup:
    """A context manager that enters others in order, and leaves them in reverse order."""

    __slots__ = ("_contexts",)

    def __init__(self, contexts: Sequence[AbstractContextManager[object]]) -> None:
        self._contexts = contexts

    def __enter__(self) -> Self:
        for context in self._contexts:
            context.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for context in reversed(self._contexts):
            context.__exit__(exc_type, exc, traceback)


class _TimedStage:
    """Reports a stage to the caller and the observers, and adds its duration to the call's."""

    __slots__ = ("_call", "_clock", "_contexts", "_stage", "_started_s")

    def __init__(
        self, call: Call, stage: Stage, clock: Callable[[], float], contexts: _ContextGroup | None
    ) -> None:
        self._call = call
        self._stage = stage
        self._clock = clock
        self._contexts = contexts
        self._started_s = 0.0

    def __enter__(self) -> Self:
        if self._call.on_stage is not None:
            self._call.on_stage(self._stage)
        if self._contexts is not None:
            self._contexts.__enter__()
        self._started_s = self._clock()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        spent_ms = (self._clock() - self._started_s) * 1000
        elapsed_ms = self._call.elapsed_ms
        elapsed_ms[self._stage] = elapsed_ms.get(self._stage, 0.0) + spent_ms
        if self._contexts is not None:
            self._contexts.__exit__(exc_type, exc, traceback)
