"""How much of a result fits its token budget: wide cells are shortened before rows are dropped.

Both forms of an answer, text and structured, hold the same rows, because hosts
differ in which one they give to their model. A row is therefore charged at its
longer form. Counting tokens costs milliseconds, so small results are not counted
at all (a token is at least one byte), and large ones in a handful of pieces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from pgmcp.execution.result import Column, JsonScalar, Rows
from pgmcp.presentation.neutral import is_harmless, neutralise, shorten

CountTokens = Callable[[str], int]

_MIN_CELL_CHARACTERS = 80  # below this a shortened cell tells less than a further row
_MAX_PIECES = 6
_MAX_CHARACTERS_PER_TOKEN = 8  # English prose has 4 to 5; no table comes near 8
_SAFETY = 0.95  # a piece aims a little below the estimate, for one that does not fit was counted in vain
_FIRST_BLOCK_ROWS = 16  # laid out at once
_MAX_BLOCK_ROWS = 512
_SAMPLES = 16
_SAMPLE_CHARACTERS = 4_000
_SURELY_BELOW = 0.7  # of the budget: what samples show of a text is no exact count


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a result that is shown.

    Attributes:
        columns: leading columns of the result, usually all.
        rows: leading rows, with wide cells shortened.
        lines: the same rows as text, neutralised, cells separated by tabs.
        shortened_cells: how many cells of these rows were shortened here.
        max_tokens: the budget of the whole answer.
    """

    columns: tuple[Column, ...]
    rows: list[list[JsonScalar]]
    lines: list[str]
    shortened_cells: int
    max_tokens: int


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
    next_rows = rows.rows[: len(laid_out.rows) + 1]
    if len(laid_out.rows) < len(rows.rows) and _longest_cell(next_rows) > _MIN_CELL_CHARACTERS:
        # Each cell costs a token at least, so no more rows than these can matter.
        candidates = [row[: len(columns)] for row in rows.rows[: max(1, budget_tokens // len(columns))]]
        cell_characters = _widest_fitting_cell(candidates, budget_tokens * characters_per_token * _SAFETY)
        laid_out, _ = _fill(rows.rows, len(columns), cell_characters, budget_tokens, count_tokens)
    return Shown(
        columns=columns,
        rows=laid_out.rows,
        lines=laid_out.lines,
        shortened_cells=laid_out.shortened_cells,
        max_tokens=max_tokens,
    )


@dataclass(slots=True)
class _LaidOut:
    """Consecutive rows in both forms.

    Attributes:
        characters: their length as it is reckoned before it is known.
    """

    rows: list[list[JsonScalar]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    shortened_cells: int = 0
    characters: int = 0

    def extend(self, piece: "_LaidOut") -> None:
        self.rows += piece.rows
        self.lines += piece.lines
        self.shortened_cells += piece.shortened_cells
        self.characters += piece.characters

    def longer_form(self) -> str:
        return max("\n".join(self.lines) + "\n", msgspec.json.encode(self.rows).decode(), key=len)


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
        rest = rows[len(taken.rows) :]
        if not rest or budget_tokens <= 0:
            break
        piece = _lay_out(rest, width, cell_characters, budget_tokens * characters_per_token * _SAFETY)
        text = piece.longer_form()
        if len(piece.rows) == len(rest) and len(text.encode(errors="replace")) <= budget_tokens:
            taken.extend(piece)
            break
        tokens = _count(text, budget_tokens, count_tokens)
        characters_per_token = piece.characters / max(1, tokens)
        if tokens <= budget_tokens:
            taken.extend(piece)
            budget_tokens -= tokens
        elif len(piece.rows) == 1:
            break
    return taken, characters_per_token


def _lay_out(
    rows: Sequence[list[JsonScalar]], width: int, cell_characters: int | None, room_characters: float
) -> _LaidOut:
    """Lay out the leading rows that take about `room_characters`, and one at least."""
    piece = _LaidOut()
    frame_characters = 2 * width + 2  # JSON's quotes and brackets
    for block in _blocks(rows):
        shortened = [_shorten_cells(row, width, cell_characters) for row in block]
        lines = text_rows([row for row, _ in shortened])
        for (row, shortened_cells), line in zip(shortened, lines, strict=True):
            characters = len(line) + frame_characters
            if piece.rows and piece.characters + characters > room_characters:
                return piece
            piece.rows.append(row)
            piece.lines.append(line)
            piece.shortened_cells += shortened_cells
            piece.characters += characters
    return piece


def _blocks(rows: Sequence[list[JsonScalar]]) -> Iterator[Sequence[list[JsonScalar]]]:
    """Give the rows in growing blocks: a small room needs few of them, and a large one is filled faster."""
    start, count = 0, _FIRST_BLOCK_ROWS
    while start < len(rows):
        yield rows[start : start + count]
        start, count = start + count, min(2 * count, _MAX_BLOCK_ROWS)


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


def text_rows(rows: Sequence[Sequence[JsonScalar]]) -> list[str]:
    """Return each row as `text_row` writes it; many at once are looked over for harmful text together."""
    texts = [cell for row in rows for cell in row if isinstance(cell, str)]
    if "NULL" in texts or not is_harmless("".join(texts)):
        return [text_row(row) for row in rows]
    return ["\t".join([_plain(cell) for cell in row]) for row in rows]


def _plain(cell: JsonScalar) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return repr(cell)


def text_row(row: Sequence[JsonScalar]) -> str:
    """Return the cells separated by tabs: the cheapest unambiguous form.

    In tokens of o200k_base, pipes cost 5 % more, JSON arrays 8 %, a Markdown table 18 %.
    """
    return "\t".join(map(_text_cell, row))


def _text_cell(cell: JsonScalar) -> str:
    match cell:
        case str():
            return r"\NULL" if cell == "NULL" else neutralise(cell)
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case _:
            return repr(cell)


def _shorten_cells(
    row: list[JsonScalar], width: int, max_characters: int | None
) -> tuple[list[JsonScalar], int]:
    if len(row) > width:
        row = row[:width]
    if max_characters is None:
        return row, 0
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
