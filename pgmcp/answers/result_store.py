"""Stores rows that did not fit an answer, so that they can be read without running the statement again.

Rows are stored as the worker's JSON. All results together have a size limit. To make room, the oldest result
of the owner with the most bytes is removed, so that no caller removes the results of those who store little.
This module stores them in this process; `pgmcp.fleet.results` stores them for all servers of a fleet.
"""

import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from pgmcp.errors import ResultGoneError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation


class KeptResults(Protocol):
    """Stores results and returns rows of them."""

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Store a result and return its id; None if it cannot be stored."""
        ...

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a stored result, and its number of rows."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The stored part of a result."""

    columns: tuple[Column, ...]
    rows: EncodedRows
    truncated: Truncation | None

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Return the stored part of these rows."""
        encoded = rows.rows if isinstance(rows.rows, EncodedRows) else EncodedRows.encode(rows.rows)
        return cls(rows.columns, encoded[:], rows.truncated)  # without the rows' text, which is not counted

    def page(self, first_row: int, max_rows: int) -> tuple[Rows, int]:
        """Return rows from a given row on, counted from 1, and the number of rows.

        Raises:
            ResultGoneError: there is no such row.
        """
        row_count = len(self.rows)
        if not 1 <= first_row <= row_count:
            raise ResultGoneError(f"the result has no row {first_row}", hint=f"its rows are 1 to {row_count}")
        rows = self.rows[first_row - 1 : first_row - 1 + max_rows]
        return Rows(self.columns, rows, self.truncated), row_count


def no_such_result(result_id: str, lifetime_s: float, advice: str = "") -> ResultGoneError:
    """Return the error for a result that is not stored or belongs to another principal."""
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
    """Stores results in this process, by an id that cannot be guessed.

    Args:
        max_bytes: limit of the JSON of all results; a larger result is not stored.
        lifetime_s: after which a result is removed, even if there is room.
        advice: added to the hint if a result is missing.
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
        self._bytes_by_owner: Counter[str | None] = Counter()

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Store a result and return its id; None if it is too large.

        Args:
            owner: the only principal that may read it; None without authentication.
        """
        entry = _Entry(owner, StoredResult.of(rows), self._clock() + self._lifetime_s)
        if entry.size_bytes > self._max_bytes:
            return None
        self._drop_old()
        self._bytes_by_owner[owner] += entry.size_bytes
        while self._bytes_by_owner.total() > self._max_bytes:
            self._drop_oldest_of_largest()
        result_id = secrets.token_urlsafe(9)
        self._entries[result_id] = entry
        return result_id

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a stored result, and its number of rows.

        Args:
            first_row: counted from 1.
            max_rows: maximum number of returned rows.
            owner: the principal that reads; results of others count as missing.

        Raises:
            ResultGoneError: the result is not stored (any more), or has no such row.
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

    def _drop_oldest_of_largest(self) -> None:
        largest = max(self._bytes_by_owner, key=self._bytes_by_owner.__getitem__)
        self._drop(next(each for each, entry in self._entries.items() if entry.owner == largest))

    def _drop(self, result_id: str) -> None:
        entry = self._entries.pop(result_id)
        self._bytes_by_owner[entry.owner] -= entry.size_bytes
        if not self._bytes_by_owner[entry.owner]:
            del self._bytes_by_owner[entry.owner]
