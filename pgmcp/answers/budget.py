"""Fits a result to its token budget: wide cells are shortened before rows are dropped.

Both forms of an answer, text and JSON, have the same rows, because hosts differ in which one they give to
their model. The longer form counts toward the budget. The worker has usually written both
(`worker.row_format`). Rows are formatted here only to shorten cells, to drop columns, or if the worker has
not written them as text. Counting tokens takes milliseconds. So small results are not counted (a token is at
least one byte), and large ones are counted in a few parts.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, Protocol

import msgspec

from pgmcp.execution.result import Column, EncodedRows, JsonScalar, Rows
from pgmcp.untrusted import shorten
from worker.row_format import json_lines, text_rows

CountTokens = Callable[[str], int]

_MIN_CELL_CHARACTERS: Final = 80  # a shorter cell is less useful than a further row
_MAX_PIECES: Final = 6
MAX_CHARACTERS_PER_TOKEN: Final = 8  # English prose has 4 to 5; no table comes near 8
_SAFETY: Final = 0.95  # parts are made 5 % smaller than estimated; counting one that does not fit is wasted
_FIRST_BLOCK_ROWS: Final = 32
_MAX_BLOCK_ROWS: Final = 512
_SAMPLES: Final = 16
_SAMPLE_CHARACTERS: Final = 1_000
_SURELY_BELOW: Final = 0.7  # share of the budget up to which an inexact count from samples is trusted

_encoder = msgspec.json.Encoder()


class FittedRows(msgspec.Struct, frozen=True):
    """The part of a result that is shown.

    Attributes:
        columns: leading columns of the result, usually all.
        row_count: number of leading rows.
        text: these rows in the format of `worker.row_format`, wide cells shortened, separated by line feeds.
        json: the same rows as a JSON array of arrays, in UTF-8.
        shortened_cells: how many cells of these rows were shortened here.
        max_tokens: the budget of the whole answer.
    """

    columns: tuple[Column, ...]
    row_count: int
    text: str
    json: bytes
    shortened_cells: int
    max_tokens: int


def encode_json(value: Any) -> bytes:
    """Return compact JSON in UTF-8; half a surrogate pair, which UTF-8 cannot carry, becomes "?"."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def fit_columns(columns: tuple[Column, ...], *, max_characters: int) -> tuple[Column, ...]:
    """Return the leading columns whose names and types take at most `max_characters`, but at least one."""
    sizes = [len(column.name) + len(column.type) + 24 for column in columns]
    if sum(sizes) <= max_characters:
        return columns
    return columns[: max(1, sum(end <= max_characters for end in accumulate(sizes)))]


def fit_rows(
    rows: Rows, columns: tuple[Column, ...], *, budget_tokens: int, max_tokens: int, count_tokens: CountTokens
) -> FittedRows:
    """Return as many leading rows as fit a token budget.

    Calls `count_tokens` a few times, but not for small results. Of long texts it may count only samples.

    Args:
        columns: the leading columns of `rows` that are shown.
        budget_tokens: the part of the answer's budget that rows may use.
        max_tokens: the budget of the whole answer, which is only stored in the result.
    """
    if (encoded := _find_whole(rows, columns)) and _surely_fits(encoded, budget_tokens, count_tokens):
        rows_json = b"[%b]" % encoded.json[:-1].replace(b"\n", b",")
        return FittedRows(columns, len(encoded), encoded.text, rows_json, 0, max_tokens)
    source = _choose_source(rows, columns)
    laid_out, characters_per_token = _render_fitting(source, budget_tokens, count_tokens)
    next_rows = rows.rows[: len(laid_out.lines) + 1]
    if len(laid_out.lines) < len(rows.rows) and _longest_cell(next_rows) > _MIN_CELL_CHARACTERS:
        # Each cell takes at least one token, so more rows cannot fit.
        candidates = [row[: len(columns)] for row in rows.rows[: max(1, budget_tokens // len(columns))]]
        cell_characters = _widest_fitting_cell(candidates, budget_tokens * characters_per_token * _SAFETY)
        laid_out, _ = _render_fitting(
            _ValueSource(rows.rows, len(columns), cell_characters), budget_tokens, count_tokens
        )
    return laid_out.shown(columns, max_tokens)


def show_all(rows: Rows) -> FittedRows:
    """Return all rows, without a token budget."""
    whole = _RenderedRows()
    whole.take(_ValueSource(rows.rows, len(rows.columns)).block(0, len(rows.rows)), float("inf"))
    return whole.shown(rows.columns, max_tokens=0)


def _find_whole(rows: Rows, columns: tuple[Column, ...]) -> EncodedRows | None:
    """Return the rows if all columns are shown and the worker has written every row as text."""
    encoded = rows.rows
    if not isinstance(encoded, EncodedRows) or len(columns) != len(rows.columns):
        return None
    return encoded if 0 < encoded.text_rows == len(encoded) else None


def _surely_fits(encoded: EncodedRows, budget_tokens: int, count_tokens: CountTokens) -> bool:
    """Return True if both forms of all rows surely fit the budget; False if they may not."""
    json_bytes, text_bytes = len(encoded.json), _size_bytes(encoded.text)
    if max(json_bytes, text_bytes) <= budget_tokens:
        return True
    if max(json_bytes, text_bytes) > budget_tokens * MAX_CHARACTERS_PER_TOKEN:
        return False
    longer = encoded.text if text_bytes > json_bytes else encoded.json
    tokens = _estimate(longer, count_tokens)
    return tokens is not None and tokens <= budget_tokens * _SURELY_BELOW


@dataclass(frozen=True, slots=True)
class _Block:
    """Consecutive rows.

    Attributes:
        lines: the rows as text.
        arrays: the rows as JSON, in UTF-8.
        shortened_cells: number of shortened cells of each row; empty if no cell was shortened.
        overhead_characters: number of JSON's quotes and brackets in each row.
    """

    lines: list[str]
    arrays: list[bytes]
    shortened_cells: Sequence[int]
    overhead_characters: int


class _Source(Protocol):
    """The source of formatted rows."""

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> _Block:
        """Return rows from `start` on, `stop` excluded."""


class _ValueSource:
    """Rows that are formatted here.

    Args:
        rows: the rows.
        width: number of leading columns to format.
        cell_characters: longer cells are shortened; None shortens none.
    """

    def __init__(
        self, rows: Sequence[list[JsonScalar]], width: int, cell_characters: int | None = None
    ) -> None:
        self._rows = rows
        self._width = width
        self._cell_characters = cell_characters

    def __len__(self) -> int:
        return len(self._rows)

    def block(self, start: int, stop: int) -> _Block:
        """Return rows from `start` on, `stop` excluded."""
        rows = [row[: self._width] for row in self._rows[start:stop]]
        shortened_cells: list[int] = []
        if self._cell_characters is not None:
            shortened = [_shorten_cells(row, self._cell_characters) for row in rows]
            rows = [row for row, _ in shortened]
            shortened_cells = [count for _, count in shortened]
        return _Block(text_rows(rows), _json_arrays(rows), shortened_cells, 2 * self._width + 2)


class _EncodedSource:
    """Rows that the worker has formatted; the remaining ones are formatted here."""

    def __init__(self, rows: EncodedRows, width: int) -> None:
        self._rows = rows
        self._width = width
        self._lines = rows.text.split("\n")
        self._arrays = rows[: rows.text_rows].json.split(b"\n")

    def __len__(self) -> int:
        return len(self._rows)

    def block(self, start: int, stop: int) -> _Block:
        """Return rows from `start` on, `stop` excluded."""
        if min(stop, len(self)) > self._rows.text_rows:
            return _ValueSource(self._rows, self._width).block(start, stop)
        return _Block(self._lines[start:stop], self._arrays[start:stop], (), 2 * self._width + 2)


def _choose_source(rows: Rows, columns: tuple[Column, ...]) -> _Source:
    encoded = rows.rows
    if isinstance(encoded, EncodedRows) and encoded.text_rows and len(columns) == len(rows.columns):
        return _EncodedSource(encoded, len(columns))
    return _ValueSource(encoded, len(columns))


def _json_arrays(rows: Sequence[list[JsonScalar]]) -> list[bytes]:
    try:
        return json_lines(rows).split(b"\n")[:-1]
    except UnicodeEncodeError:
        return [encode_json(row) for row in rows]


@dataclass(slots=True)
class _RenderedRows:
    """Consecutive rows in both forms.

    Attributes:
        arrays: the rows as JSON.
        characters: estimated length of the rows.
    """

    lines: list[str] = field(default_factory=list)
    arrays: list[bytes] = field(default_factory=list)
    shortened_cells: int = 0
    characters: int = 0

    def extend(self, piece: "_RenderedRows") -> None:
        self.lines += piece.lines
        self.arrays += piece.arrays
        self.shortened_cells += piece.shortened_cells
        self.characters += piece.characters

    def take(self, block: _Block, room_characters: float) -> bool:
        """Add the leading rows for which there is room; return whether all rows of the block fit."""
        fitting = 0
        for line in block.lines:
            characters = len(line) + block.overhead_characters
            if (self.lines or fitting) and self.characters + characters > room_characters:
                break
            self.characters += characters
            fitting += 1
        self.lines += block.lines[:fitting]
        self.arrays += block.arrays[:fitting]
        self.shortened_cells += sum(block.shortened_cells[:fitting])
        return fitting == len(block.lines)

    def json(self) -> bytes:
        return b"[" + b",".join(self.arrays) + b"]"

    def text(self) -> str:
        return "\n".join(self.lines)

    def shown(self, columns: tuple[Column, ...], max_tokens: int) -> FittedRows:
        return FittedRows(
            columns, len(self.lines), self.text(), self.json(), self.shortened_cells, max_tokens
        )


def _render_fitting(
    source: _Source, budget_tokens: int, count_tokens: CountTokens
) -> tuple[_RenderedRows, float]:
    """Return the leading rows that fit, and the characters per token.

    Formats some rows and counts their tokens, at most `_MAX_PIECES` times, until not even one more row fits.
    Each part has about as many rows as should fit into the rest of the budget. This is estimated with the
    characters per token of the part before.
    """
    taken = _RenderedRows()
    characters_per_token = 1.0
    for _ in range(_MAX_PIECES):
        rest_count = len(source) - len(taken.lines)
        if not rest_count or budget_tokens <= 0:
            break
        room_characters = budget_tokens * characters_per_token * _SAFETY
        piece = _lay_out(source, len(taken.lines), room_characters)
        text, rows_json = piece.text() + "\n", piece.json()
        is_last = len(piece.lines) == rest_count
        if is_last and max(_size_bytes(text), len(rows_json)) <= budget_tokens:
            taken.extend(piece)
            break
        longer = max(text, rows_json.decode(), key=len)
        tokens = _count(longer, budget_tokens, count_tokens)
        characters_per_token = piece.characters / max(1, tokens)
        if tokens <= budget_tokens:
            taken.extend(piece)
            budget_tokens -= tokens
        elif len(piece.lines) == 1:
            break
    return taken, characters_per_token


def _count(text: str, budget_tokens: int, count_tokens: CountTokens) -> int:
    """Return the tokens of a text; estimated if the text is long and far below the budget."""
    tokens = _estimate(text, count_tokens)
    if tokens is not None and tokens <= budget_tokens * _SURELY_BELOW:
        return tokens
    countable = text[: budget_tokens * MAX_CHARACTERS_PER_TOKEN]
    return count_tokens(countable) * len(text) // len(countable)


def _estimate(text: str | bytes, count_tokens: CountTokens) -> int | None:
    """Return the estimated tokens of a long text; None for a text short enough to be counted."""
    if len(text) <= _SAMPLES * _SAMPLE_CHARACTERS * 2:
        return None
    step = len(text) // _SAMPLES
    samples = [text[at : at + _SAMPLE_CHARACTERS] for at in range(0, step * _SAMPLES, step)]
    sampled = "".join(each if isinstance(each, str) else each.decode(errors="ignore") for each in samples)
    return count_tokens(sampled) * len(text) // (_SAMPLES * _SAMPLE_CHARACTERS)


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _lay_out(source: _Source, start: int, room_characters: float) -> _RenderedRows:
    """Format rows from `start` on until they take about `room_characters`; at least one row."""
    piece = _RenderedRows()
    block_rows = _FIRST_BLOCK_ROWS
    while start < len(source):
        if not piece.take(source.block(start, start + block_rows), room_characters):
            break
        start += block_rows
        block_rows = min(2 * block_rows, _MAX_BLOCK_ROWS)
    return piece


def _shorten_cells(row: list[JsonScalar], max_characters: int) -> tuple[list[JsonScalar], int]:
    shortened = [shorten(cell, max_characters) if isinstance(cell, str) else cell for cell in row]
    return shortened, sum(new is not old for new, old in zip(shortened, row, strict=True))


def _widest_fitting_cell(rows: Sequence[list[JsonScalar]], room_characters: float) -> int:
    """Return the length to which longer cells must be shortened, so that all cells together fit the room.

    Short cells keep their length; longer ones share the remaining room. The result is at least
    `_MIN_CELL_CHARACTERS`.
    """
    lengths = sorted(len(cell) + 3 if isinstance(cell, str) else 8 for row in rows for cell in row)
    for index, length in enumerate(lengths):
        share_characters = room_characters / (len(lengths) - index)
        if length > share_characters:
            return max(_MIN_CELL_CHARACTERS, int(share_characters) - 3)
        room_characters -= length
    return max(_MIN_CELL_CHARACTERS, lengths[-1])


def _longest_cell(rows: Sequence[list[JsonScalar]]) -> int:
    return max((len(cell) for row in rows for cell in row if isinstance(cell, str)), default=0)
