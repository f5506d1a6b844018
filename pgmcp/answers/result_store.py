"""Rows that an answer had no room for, kept a while so that they can be read without running anything again.

Kept as JSON, as the worker sent them, and within a bound over all results: the oldest go first. Here they are
kept in this process; `pgmcp.fleet.results` keeps them for all servers of a fleet.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from pgmcp.errors import ResultGoneError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation


class KeptResults(Protocol):
    """Keeps results and gives pages of them."""

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Keep a result and return its id; None if it cannot be kept."""
        ...

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a kept result, and how many it has in all."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What is kept of a result."""

    columns: tuple[Column, ...]
    rows: EncodedRows
    truncated: Truncation | None

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Return what is kept of these rows."""
        encoded = rows.rows if isinstance(rows.rows, EncodedRows) else EncodedRows.encode(rows.rows)
        return cls(
            rows.columns, encoded[:], rows.truncated
        )  # without its text, which the bound does not count

    def page(self, first_row: int, max_rows: int) -> tuple[Rows, int]:
        """Return rows from one on, counted from 1, and how many there are in all.

        Raises:
            ResultGoneError: there is no such row.
        """
        row_count = len(self.rows)
        if not 1 <= first_row <= row_count:
            raise ResultGoneError(f"the result has no row {first_row}", hint=f"its rows are 1 to {row_count}")
        rows = self.rows[first_row - 1 : first_row - 1 + max_rows]
        return Rows(self.columns, rows, self.truncated), row_count


def no_such_result(result_id: str, lifetime_s: float, advice: str = "") -> ResultGoneError:
    """Return the error for a result that is not kept, or is another principal's."""
    hint = f"results are kept for {lifetime_s:g} s at most; run the statement again"
    return ResultGoneError(
        f"no result {result_id[:32]!r} is kept", hint=f"{hint}; {advice}" if advice else hint
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: str | None
    result: StoredResult
    ends_at_s: float

    @property
    def size_bytes(self) -> int:
        return len(self.result.rows.json)


class ResultStore:
    """Results by an id that cannot be guessed, in this process.

    Args:
        max_bytes: of JSON text over all of them; a result larger than that is not kept.
        lifetime_s: after which a result is removed, even if there is room.
        advice: added to the hint when a result is not there.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        lifetime_s: float,
        advice: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s
        self._advice = advice
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Keep a result and return its id; None if there is no room for one as large.

        Args:
            owner: the only principal that may read it; None where there are none.
        """
        entry = _Entry(owner, StoredResult.of(rows), self._clock() + self._lifetime_s)
        if entry.size_bytes > self._max_bytes:
            return None
        self._drop_old()
        while self._bytes + entry.size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
        result_id = secrets.token_urlsafe(9)
        self._entries[result_id] = entry
        self._bytes += entry.size_bytes
        return result_id

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a kept result, and how many it has in all.

        Args:
            first_row: counted from 1.
            max_rows: of those that are returned.
            owner: who reads; another's result is as good as absent.

        Raises:
            ResultGoneError: it is not kept, or not any more, or has no such row.
        """
        self._drop_old()
        entry = self._entries.get(result_id)
        if entry is None or entry.owner != owner:
            raise no_such_result(result_id, self._lifetime_s, self._advice)
        return entry.result.page(first_row, max_rows)

    def _drop_old(self) -> None:
        now_s = self._clock()
        for result_id in [each for each, entry in self._entries.items() if entry.ends_at_s <= now_s]:
            self._drop(result_id)

    def _drop(self, result_id: str) -> None:
        self._bytes -= self._entries.pop(result_id).size_bytes
