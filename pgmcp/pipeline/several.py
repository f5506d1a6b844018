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
    names: Sequence[str], work: Callable[[str], Awaitable[T]], *, timeout_s: float
) -> Outcome[T]:
    """Run `work` for each database at the same time.

    Args:
        names: of the databases.
        work: called with a name.
        timeout_s: for each; a database that needs longer counts as failed.

    Raises:
        PgmcpError: the first error, if every database failed.
    """
    errors: dict[str, PgmcpError] = {}
    results: dict[str, T] = {}

    async def run(name: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                results[name] = await work(name)
        except TimeoutError:
            errors[name] = DeadlineExceededError(f"its schema could not be read within {timeout_s:g} s")
        except PgmcpError as error:
            errors[name] = error

    await asyncio.gather(*map(run, names))
    for name, error in errors.items():
        if not isinstance(error, UnknownDatabaseError):
            error.database = error.database or name
    if not results:
        raise next(errors[name] for name in names)
    return Outcome(
        {name: results[name] for name in names if name in results},
        {name: errors[name] for name in names if name in errors},
    )
