"""Runs one task on each of several databases; a database that is down does not affect the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pgmcp.errors import DeadlineExceededError, PgmcpError, UnknownDatabaseError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The results of the same task on several databases.

    Attributes:
        results: by database, in the order of the settings.
        errors: by database, of those without a result.
    """

    results: dict[str, T]
    errors: dict[str, PgmcpError]


async def run_on_each(
    names: Sequence[str],
    work: Callable[[str], Awaitable[T]],
    *,
    timeout_s: float,
    patience_s: float | None = None,
) -> Outcome[T]:
    """Run `work` for each database at the same time.

    Args:
        names: of the databases.
        work: called with a name.
        timeout_s: for each; a database that needs longer counts as failed.
        patience_s: how much longer than the first result the others may take; None: as long as `timeout_s`.

    Raises:
        PgmcpError: the first error, if every database failed.
    """
    tasks = _Tasks[T](timeout_s, patience_s)
    await asyncio.gather(*(tasks.run(name, work) for name in names))
    results, errors = tasks.results, tasks.errors
    for name, error in errors.items():
        if not isinstance(error, UnknownDatabaseError):
            error.database = error.database or name
    if not results:
        raise next(errors[name] for name in names)
    return Outcome(
        {name: results[name] for name in names if name in results},
        {name: errors[name] for name in names if name in errors},
    )


class _Tasks(Generic[T]):
    """The tasks of several databases, and the time that each has left."""

    def __init__(self, timeout_s: float, patience_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._running: dict[str, asyncio.Timeout] = {}
        self.results: dict[str, T] = {}
        self.errors: dict[str, PgmcpError] = {}

    async def run(self, name: str, work: Callable[[str], Awaitable[T]]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s) as self._running[name]:
                self.results[name] = await work(name)
        except TimeoutError:
            self.errors[name] = _too_slow(self._timeout_s, self._patience_s if self.results else None)
        except PgmcpError as error:
            self.errors[name] = error
        finally:
            del self._running[name]
        if name in self.results and len(self.results) == 1 and self._patience_s is not None:
            self._hasten(asyncio.get_running_loop().time() + self._patience_s)

    def _hasten(self, until_s: float) -> None:
        for timeout in self._running.values():
            if until_s < (timeout.when() or until_s):
                timeout.reschedule(until_s)


def _too_slow(timeout_s: float, patience_s: float | None) -> DeadlineExceededError:
    if patience_s is None or patience_s >= timeout_s:
        return DeadlineExceededError(f"its schema could not be read within {timeout_s:g} s")
    return DeadlineExceededError(
        f"its schema was not read within {patience_s:g} s of another database's",
        hint="name this database to wait for it",
    )
