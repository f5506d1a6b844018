"""Begins calls: numbers them, counts them against the rate limit, limits their time, and reports them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from pgmcp.asyncio_shortcuts import SharedTimer
from pgmcp.errors import (
    DeadlineExceededError,
    ModelError,
    PgmcpError,
    RateLimitedError,
    UnknownDatabaseError,
)
from pgmcp.identity import Principal
from pgmcp.pipeline.call import Call, OnStage, Operation
from pgmcp.pipeline.protocols import Budgets
from pgmcp.pipeline.tracer import Tracer


class Calls:
    """Begins calls, limits their time and reports them.

    Args:
        database_names: names of the databases, the default one first.
        rate_limit: returns the budgets of requests.
        tracer: reports the calls to observers.
        timeout_s: maximum duration of each call.
        names_database: whether errors get the name of their database.
    """

    def __init__(
        self,
        database_names: Sequence[str],
        rate_limit: Callable[[], Budgets],
        tracer: Tracer,
        *,
        timeout_s: float,
        names_database: bool,
    ) -> None:
        self.tracer = tracer
        self._names_database = names_database
        self.timeout_s = timeout_s
        self._database_names = database_names
        self._rate_limit = rate_limit
        self._timer = SharedTimer()
        self._ids = itertools.count(1)

    def begin(
        self,
        operation: Operation,
        database: str | None,
        caller: str,
        principal: Principal | None,
        on_stage: OnStage | None = None,
    ) -> Call:
        """Return a new call; `bounded` then limits its time and reports it.

        Args:
            operation: what the caller does.
            database: None for the default one, or for all databases if the operation is about the schema.
            caller: the host's name and version; "" if it gave none.
            principal: the authenticated user; None without authentication.
            on_stage: called when a stage begins.
        """
        is_of_one = operation in (Operation.QUERY, Operation.EXECUTE_SQL) or len(self._database_names) == 1
        if database is None and is_of_one:
            database = self._database_names[0]
        return Call(
            id=next(self._ids),
            operation=operation,
            caller=caller,
            principal=principal.name if principal is not None else None,
            principal_id=principal.id if principal is not None else None,
            database=database,
            on_stage=on_stage,
        )

    def admit(self, call: Call) -> Awaitable[None]:
        """Count a call against the budget of its caller.

        Raises:
            RateLimitedError: the caller has made too many calls.
            SharedStorageError: the servers count together in Redis, and Redis cannot be used.
        """
        return self._rate_limit().admit(call.principal_id)

    def bounded(self, call: Call) -> AbstractContextManager[None]:
        """Return a context manager that reports a call to the observers, and ends it if it takes too long.

        A call that took too long ends with a DeadlineExceededError; so does a TimeoutError inside the block.
        """
        limit = TimeLimit(self._timer, self.timeout_s)
        return _BoundedCall(self, call, self.tracer.call(call), limit)

    def took_too_long(self) -> DeadlineExceededError:
        """Return the error of a call that reached its time limit."""
        return DeadlineExceededError(
            f"the call took longer than {self.timeout_s:g} s, including the model",
            hint="ask for less, or raise PG_MCP_SERVER_REQUEST_TIMEOUT",
        )

    def name_database(self, error: PgmcpError, call: Call) -> None:
        """Set the error's database, if several are configured."""
        is_about_database = not isinstance(error, UnknownDatabaseError | RateLimitedError | ModelError)
        if self._names_database and is_about_database and call.database is not None:
            error.database = error.database or call.database


class _BoundedCall:
    """The context manager of `Calls.bounded`. A class is faster than contextlib, and every call enters it."""

    __slots__ = ("_call", "_calls", "_limit", "_observation")

    def __init__(
        self, calls: Calls, call: Call, observation: AbstractContextManager[object], limit: "TimeLimit"
    ) -> None:
        self._calls = calls
        self._call = call
        self._observation = observation
        self._limit = limit

    def __enter__(self) -> None:
        self._observation.__enter__()
        self._limit.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ending = exc
        try:
            self._limit.__exit__(exc_type, exc, traceback)
        except TimeoutError as error:
            ending = error
        if ending is None:
            self._observation.__exit__(None, None, None)
            return
        if isinstance(ending, TimeoutError):
            ending = self._calls.took_too_long()
        if isinstance(ending, PgmcpError):
            self._calls.name_database(ending, self._call)
        self._observation.__exit__(type(ending), ending, traceback)
        if ending is not exc:
            raise ending from None


class TimeLimit:
    """Cancels a block of the current task if it takes too long; behaves like `asyncio.timeout`.

    At the end of a block that was cancelled for this reason, TimeoutError is raised.

    Args:
        timer: runs the timeouts of all calls.
        timeout_s: maximum duration of the block.
    """

    __slots__ = ("_cancel_requests", "_is_expired", "_task", "_timeout_s", "_timer")

    def __init__(self, timer: SharedTimer, timeout_s: float) -> None:
        self._timer = timer
        self._timeout_s = timeout_s
        self._is_expired = False
        self._cancel_requests = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._task = task
        self._cancel_requests = task.cancelling()
        self._timer.set(self, self._timeout_s, self._expire)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.clear(self)
        if not self._is_expired:
            return
        # If the task was also cancelled for another reason, that reason takes precedence over the time limit.
        is_ours = self._task.uncancel() <= self._cancel_requests
        if is_ours and isinstance(exc, asyncio.CancelledError):
            raise TimeoutError from exc

    def _expire(self) -> None:
        self._is_expired = True
        self._task.cancel()
