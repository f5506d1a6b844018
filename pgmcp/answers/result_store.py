"""Stores rows that did not fit an answer, so that they can be read without running the statement again.

Rows are stored as the worker's JSON. All results together have a size limit. To make room, the oldest result
of the owner with the most bytes is removed, so that a caller with many results does not displace those of
others. This module stores them in this process; `pgmcp.fleet.results` stores them for all servers of a fleet.

`render_page` writes a page of such a result:

    Rows 121 to 240 of 1000, as they were fetched
    <data-7f3a9c>
    status⇥count
    paid⇥120
    </data-7f3a9c>
"""

import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from pgmcp.answers.budget import CountTokens, fit_columns, fit_rows
from pgmcp.errors import ResultGoneError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation
from pgmcp.untrusted import fence_lines
from worker.row_format import text_row


class ResultStore(Protocol):
    """Stores results and returns rows of them."""

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Store a result and return its id; None if it cannot be stored.

        Args:
            owner: the id of the only principal that may read it; None without authentication.
        """
        ...

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a stored result, and its number of rows.

        Args:
            first_row: number of the first row, counted from 1.
            max_rows: maximum number of returned rows.
            owner: the id of the principal that reads; results of others count as missing.

        Raises:
            ResultGoneError: the result is not stored (any more), or has no such row.
            SharedStorageError: the results are stored in Redis, which cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The stored part of a result."""

    columns: tuple[Column, ...]
    rows: EncodedRows
    truncated: Truncation | None

    @classmethod
    def from_rows(cls, rows: Rows) -> Self:
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
    hint = f"results are stored for at most {lifetime_s:g} s; run the statement again"
    return ResultGoneError(
        f"no result {result_id[:32]!r} is stored", hint=f"{hint}; {advice}" if advice else hint
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: str | None
    result: StoredResult
    ends_at_s: float

    @property
    def size_bytes(self) -> int:
        return len(self.result.rows.json)


class LocalResultStore:
    """Stores results in this process, by an id that cannot be guessed.

    Args:
        max_bytes: limit of the JSON of all results; a larger result is not stored.
        lifetime_s: seconds after which a result is removed, even if there is room.
        advice: text that is added to the hint if a result is missing.
        clock: returns monotonic seconds.
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
        """Store a result and return its id; None if it is too large."""
        entry = _Entry(owner, StoredResult.from_rows(rows), self._clock() + self._lifetime_s)
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
        """Return rows of a stored result, as `ResultStore.read` describes."""
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


_MARGIN_TOKENS = 60  # tokens for the lines around the table


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows.

    Attributes:
        next_row: number of the next row, counted from 1; None after the last page.
    """

    text: str
    next_row: int | None


def render_page(
    rows: Rows, *, first_row: int, row_count: int, max_tokens: int, count_tokens: CountTokens, fence: str
) -> Page:
    """Return as many leading rows as fit `max_tokens`, but at least one.

    Args:
        rows: the remaining rows of the result, at least one.
        first_row: number of the first remaining row, counted from 1.
        row_count: number of rows of the whole result.
        fence: a mark of `new_fence`, used only for this page.
    """
    columns = fit_columns(rows.columns, max_characters=max_tokens)
    header = text_row([column.name for column in columns])
    budget_tokens = max(1, max_tokens - _MARGIN_TOKENS - count_tokens(header))
    shown = fit_rows(
        rows, columns, budget_tokens=budget_tokens, max_tokens=max_tokens, count_tokens=count_tokens
    )
    # A page has at least one row, even a wide one: otherwise a reader would request the same page for ever.
    table = shown.text if shown.row_count else text_row(rows.rows[0][: len(columns)])[:max_tokens] + "…"
    last_row = first_row + max(1, shown.row_count) - 1
    extent = f"Rows {first_row} to {last_row} of {row_count}, as they were fetched"
    if len(columns) < len(rows.columns):
        extent += f"; {len(columns)} of {len(rows.columns)} columns"
    text = "\n".join([extent, fence_lines([header, table], fence)])
    return Page(text, last_row + 1 if last_row < row_count else None)
