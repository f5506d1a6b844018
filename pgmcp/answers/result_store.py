"""Rows that an answer had no room for, kept a while so that they can be read without running anything again.

Kept as JSON, as the worker sent them, and within a bound over all results: the oldest go first.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pgmcp.errors import ResultGoneError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation


@dataclass(frozen=True, slots=True)
class _StoredResult:
    owner: str | None
    columns: tuple[Column, ...]
    rows: EncodedRows
    truncated: Truncation | None
    ends_at_s: float

    @property
    def size_bytes(self) -> int:
        return len(self.rows.json)


class ResultStore:
    """Results by an id that cannot be guessed.

    Args:
        max_bytes: of JSON text over all of them; a result larger than that is not kept.
        lifetime_s: after which a result is gone even if nobody needs its room.
    """

    def __init__(
        self, *, max_bytes: int, lifetime_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._results: OrderedDict[str, _StoredResult] = OrderedDict()
        self._bytes = 0

    def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Keep a result and return its id; None if there is no room for one as large.

        Args:
            owner: the only principal that may read it; None where there are none.
        """
        encoded = rows.rows if isinstance(rows.rows, EncodedRows) else EncodedRows.encode(rows.rows)
        result = _StoredResult(
            owner=owner,
            columns=rows.columns,
            rows=encoded[:],  # without its text, which the bound does not count
            truncated=rows.truncated,
            ends_at_s=self._clock() + self._lifetime_s,
        )
        if result.size_bytes > self._max_bytes:
            return None
        self._drop_old()
        while self._bytes + result.size_bytes > self._max_bytes:
            self._drop(next(iter(self._results)))
        result_id = secrets.token_urlsafe(9)
        self._results[result_id] = result
        self._bytes += result.size_bytes
        return result_id

    def read(
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
        result = self._results.get(result_id)
        if result is None or result.owner != owner:
            raise ResultGoneError(
                f"no result {result_id[:32]!r} is kept",
                hint=f"results are kept for {self._lifetime_s:g} s at most; run the statement again",
            )
        row_count = len(result.rows)
        if not 1 <= first_row <= row_count:
            raise ResultGoneError(f"the result has no row {first_row}", hint=f"its rows are 1 to {row_count}")
        rows = result.rows[first_row - 1 : first_row - 1 + max_rows]
        return Rows(result.columns, rows, result.truncated), row_count

    def _drop_old(self) -> None:
        now_s = self._clock()
        for result_id in [each for each, result in self._results.items() if result.ends_at_s <= now_s]:
            self._drop(result_id)

    def _drop(self, result_id: str) -> None:
        self._bytes -= self._results.pop(result_id).size_bytes
