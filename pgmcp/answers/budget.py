"""How much of a result fits its token budget: wide cells are shortened before rows are dropped.

Both forms of an answer, text and structured, hold the same rows, because hosts
differ in which one they give to their model. So rows are laid out in both forms here, once,
and charged at the longer one. Counting tokens costs milliseconds, so small results are not counted
at all (a token is at least one byte), and large ones in a handful of pieces.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import msgspec

from pgmcp.execution.result import Column, JsonScalar, Rows
from pgmcp.untrusted import escape_untrusted, is_harmless, shorten

CountTokens = Callable[[str], int]

_MIN_CELL_CHARACTERS: Final = 80  # below this a shortened cell tells less than a further row
_MAX_PIECES: Final = 6
_MAX_CHARACTERS_PER_TOKEN: Final = 8  # English prose has 4 to 5; no table comes near 8
_SAFETY: Final = 0.95  # a piece aims a little below the estimate: one that does not fit was counted in vain
_FIRST_BLOCK_ROWS: Final = 32
_MAX_BLOCK_ROWS: Final = 512
_SAMPLES: Final = 16
_SAMPLE_CHARACTERS: Final = 4_000
_SURELY_BELOW: Final = 0.7  # of the budget: what samples show of a text is no exact count

_encoder = msgspec.json.Encoder()

_TEXT_OR_NULL: Final = {str, type(None)}


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a result that is shown.

    Attributes:
        columns: leading columns of the result, usually all.
        lines: leading rows as text, wide cells shortened, escaped, cells separated by tabs.
        json: the same rows as a JSON array of arrays, in UTF-8.
        shortened_cells: how many cells of these rows were shortened here.
        max_tokens: the budget of the whole answer.
    """

    columns: tuple[Column, ...]
    lines: list[str]
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
    """Return the leading columns whose names and types take at most `max_characters`, and one at least."""
    ends = accumulate(len(column.name) + len(column.type) + 24 for column in columns)
    return columns[: max(1, sum(end <= max_characters for end in ends))]


def fit_rows(
    rows: Rows, columns: tuple[Column, ...], *, budget_tokens: int, max_tokens: int, count_tokens: CountTokens
) -> Shown:
    """Return as many leading rows of `columns` as fit `budget_tokens`, what `max_tokens` leave for rows.

    `count_tokens` is called a few times, nearly once per character shown.
    """
    laid_out, characters_per_token = _fill(rows.rows, len(columns), None, budget_tokens, count_tokens)
    next_rows = rows.rows[: len(laid_out.lines) + 1]
    if len(laid_out.lines) < len(rows.rows) and _longest_cell(next_rows) > _MIN_CELL_CHARACTERS:
        # Each cell costs a token at least, so no more rows than these can matter.
        candidates = [row[: len(columns)] for row in rows.rows[: max(1, budget_tokens // len(columns))]]
        cell_characters = _widest_fitting_cell(candidates, budget_tokens * characters_per_token * _SAFETY)
        laid_out, _ = _fill(rows.rows, len(columns), cell_characters, budget_tokens, count_tokens)
    return Shown(
        columns=columns,
        lines=laid_out.lines,
        json=laid_out.json(),
        shortened_cells=laid_out.shortened_cells,
        max_tokens=max_tokens,
    )


def show_all(rows: Rows) -> Shown:
    """Return all rows, whatever they take."""
    whole = _LaidOut()
    _lay_out_block(whole, list(rows.rows), None, float("inf"))
    return Shown(rows.columns, whole.lines, whole.json(), shortened_cells=0, max_tokens=0)


@dataclass(slots=True)
class _LaidOut:
    """Consecutive rows in both forms.

    Attributes:
        arrays: JSON of some rows each, separated by commas and without the brackets around all.
        characters: their length as it is estimated before it is known.
    """

    lines: list[str] = field(default_factory=list)
    arrays: list[bytes] = field(default_factory=list)
    shortened_cells: int = 0
    characters: int = 0

    def extend(self, piece: "_LaidOut") -> None:
        self.lines += piece.lines
        self.arrays += piece.arrays
        self.shortened_cells += piece.shortened_cells
        self.characters += piece.characters

    def json(self) -> bytes:
        return b"[" + b",".join(self.arrays) + b"]"

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def _fill(
    rows: Sequence[list[JsonScalar]],
    width: int,
    cell_characters: int | None,
    budget_tokens: int,
    count_tokens: CountTokens,
) -> tuple[_LaidOut, float]:
    """Return the leading rows that fit, and how many characters a token holds here.

    Lays out a piece that should fit by the ratio seen so far, counts it, and goes
    on with what is left of the budget, until not even one more row fits.
    """
    taken = _LaidOut()
    characters_per_token = 1.0
    for _ in range(_MAX_PIECES):
        rest_count = len(rows) - len(taken.lines)
        if not rest_count or budget_tokens <= 0:
            break
        room_characters = budget_tokens * characters_per_token * _SAFETY
        piece = _lay_out(rows, len(taken.lines), width, cell_characters, room_characters)
        text, rows_json = piece.text(), piece.json()
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
    """Return how many tokens a text has; of a long one that is far below the budget, about how many."""
    if len(text) > _SAMPLES * _SAMPLE_CHARACTERS * 2:
        step = len(text) // _SAMPLES
        sampled = "".join(text[at : at + _SAMPLE_CHARACTERS] for at in range(0, step * _SAMPLES, step))
        tokens = count_tokens(sampled) * len(text) // len(sampled)
        if tokens <= budget_tokens * _SURELY_BELOW:
            return tokens
    countable = text[: budget_tokens * _MAX_CHARACTERS_PER_TOKEN]
    return count_tokens(countable) * len(text) // len(countable)


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _lay_out(
    rows: Sequence[list[JsonScalar]],
    start: int,
    width: int,
    cell_characters: int | None,
    room_characters: float,
) -> _LaidOut:
    """Lay out the rows from `start` on that take about `room_characters`, and one at least."""
    piece = _LaidOut()
    block_rows = _FIRST_BLOCK_ROWS
    while start < len(rows):
        block = [row[:width] for row in rows[start : start + block_rows]]
        if not _lay_out_block(piece, block, cell_characters, room_characters):
            break
        start += block_rows
        block_rows = min(2 * block_rows, _MAX_BLOCK_ROWS)
    return piece


def _lay_out_block(
    piece: _LaidOut, block: list[list[JsonScalar]], cell_characters: int | None, room_characters: float
) -> bool:
    """Add the leading rows of a block for which there is room; return whether these are all of it."""
    shortened_cells: list[int] = []
    if cell_characters is not None:
        shortened = [_shorten_cells(row, cell_characters) for row in block]
        block = [row for row, _ in shortened]
        shortened_cells = [count for _, count in shortened]
    lines = text_rows(block)
    overhead_characters = 2 * len(block[0]) + 2 if block else 0  # JSON's quotes and brackets
    fitting = 0
    for line in lines:
        characters = len(line) + overhead_characters
        if (piece.lines or fitting) and piece.characters + characters > room_characters:
            break
        piece.characters += characters
        fitting += 1
    if fitting:
        piece.lines += lines[:fitting]
        piece.arrays.append(encode_json(block[:fitting])[1:-1])
        piece.shortened_cells += sum(shortened_cells[:fitting])
    return fitting == len(block)


def text_rows(rows: Sequence[Sequence[JsonScalar]]) -> list[str]:
    """Return each row as text, its cells separated by tabs: the cheapest unambiguous form.

    In tokens of o200k_base, pipes cost 5 % more, JSON arrays 8 %, a Markdown table 18 %.
    """
    if not rows or not rows[0]:
        return [""] * len(rows)
    return list(map("\t".join, zip(*map(_text_column, zip(*rows, strict=True)), strict=True)))


def _text_column(cells: Sequence[Any]) -> Iterable[str]:
    """Return the cells of a column as text; all at once where they are of one kind and need no escape."""
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells if _is_harmless_column(cells) else map(_text_cell, cells)
    if kinds == {int} or kinds == {float}:
        return map(repr, cells)
    if kinds == {bool}:
        return ["true" if cell else "false" for cell in cells]
    if kinds == {type(None)}:
        return ["NULL"] * len(cells)
    if kinds == _TEXT_OR_NULL and _is_harmless_column([cell for cell in cells if cell is not None]):
        return ["NULL" if cell is None else cell for cell in cells]
    return map(_text_cell, cells)


def _is_harmless_column(texts: Sequence[str]) -> bool:
    return "NULL" not in texts and is_harmless("".join(texts))


def text_row(row: Sequence[JsonScalar]) -> str:
    """Return one row as `text_rows` does."""
    return "\t".join(map(_text_cell, row))


def _text_cell(cell: JsonScalar) -> str:
    match cell:
        case str():
            return r"\NULL" if cell == "NULL" else escape_untrusted(cell)
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case _:
            return repr(cell)


def _shorten_cells(row: list[JsonScalar], max_characters: int) -> tuple[list[JsonScalar], int]:
    shortened = [shorten(cell, max_characters) if isinstance(cell, str) else cell for cell in row]
    return shortened, sum(new is not old for new, old in zip(shortened, row, strict=True))


def _widest_fitting_cell(rows: Sequence[list[JsonScalar]], room_characters: float) -> int:
    """Return the bound on a cell at which all cells together fill the room, or the smallest of use.

    Short cells keep their length, and what they leave is shared by the longer ones.
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
