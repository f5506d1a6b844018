"""Collects the rows of one statement while they arrive, up to the limits of the request.

Rows are encoded as they arrive, so that the front only has to copy them.
"""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct
from psycopg import pq

from worker.connection import ServerConnection
from worker.date_style import DATE_OIDS, DateOutput, choose_date_output
from worker.encoding import Cell, CellReader, cut, reader_for, text_bytes
from worker.protocol import Execute, StatementMode, StatementOrigin, Truncated
from worker.row_format import json_lines, read_json_lines, text_block

_TEXT_BLOCK_ROWS: Final = 256
"""How many rows are written as text together; `text_block` is fast for many rows."""


class RowEncoder:
    """Collects rows as JSON, and the leading rows also as text.

    Attributes:
        row_count: number of rows so far.
        json_bytes: length of their JSON.
        text_rows: how many rows are written as text so far; `body` sets the final value.
    """

    def __init__(self, max_text_bytes: int) -> None:
        """Prepare for one result.

        Args:
            max_text_bytes: after this many bytes of text, rows are written only as JSON; 0 writes no text.
        """
        self.row_count = 0
        self.json_bytes = 0
        self.text_rows = 0
        self._left_text_bytes = max_text_bytes
        self._json: list[bytes] = []
        self._text: list[bytes] = []
        self._unrendered: list[list[Cell]] = []  # without text yet

    def pieces(self) -> Iterator[list[list[Cell]]]:
        """Yield the rows so far, in the groups in which they were added."""
        return map(read_json_lines, self._json)

    def add(self, rows: list[list[Cell]], json: bytes) -> None:
        """Add rows, which the caller must not change afterwards.

        Args:
            json: the same rows, as `json_lines` writes them.
        """
        self._json.append(json)
        self.json_bytes += len(json)
        self.row_count += len(rows)
        if self._left_text_bytes > 0:
            self._unrendered += rows
            if len(self._unrendered) >= _TEXT_BLOCK_ROWS:
                self._write_text()

    def body(self) -> bytes:
        """Return all rows as JSON, then the leading rows as text. Call it once, at the end."""
        self._write_text()
        return b"".join((*self._json, *self._text))

    def _write_text(self) -> None:
        if not self._unrendered:
            return
        piece = text_block(self._unrendered).encode() + b"\n"
        self._text.append(piece)
        self._left_text_bytes -= len(piece)
        self.text_rows += len(self._unrendered)
        self._unrendered = []


_PLAIN_BYTES: Final = 8
"""Bytes that a number, a boolean or NULL counts toward the byte limit."""


class Outcome(Struct):
    """The rows of one statement, up to the limits of the request.

    Attributes:
        columns: a name and a type OID per column.
        truncated: the limit that was reached; None if the rows are complete.
        body: the rows as the body of a `worker.protocol.Result`, which also describes the other attributes.
    """

    columns: list[tuple[str, int]] = []
    truncated: Truncated | None = None
    cut_cells: int = 0
    elapsed_ms: float = 0.0
    body: bytes = b""
    row_count: int = 0
    json_bytes: int = 0
    text_rows: int = 0


class BoundedRows:
    """Collects rows until a limit is reached.

    Args:
        connection: the connection that the rows come from.
        request: the request, with its limits.
        stop: cancels the statement on the server; called when a limit is reached and rows keep coming.
    """

    def __init__(self, connection: ServerConnection, request: Execute, stop: Callable[[], None]) -> None:
        self._connection = connection
        self._encoding = connection.facts.encoding
        self._request = request
        self._stop = stop
        self._outcome = Outcome()
        self._rows = RowEncoder(request.max_text_bytes)
        self._bytes: int | None = None  # what the rows so far count toward max_bytes; None: not counted yet
        self._reader: CellReader | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether a limit was reached."""
        return self._outcome.truncated is not None

    def complete(self, elapsed_ms: float) -> Outcome:
        """Return the rows and their counts. Call it once, at the end.

        Args:
            elapsed_ms: how long the statement took.
        """
        outcome, rows = self._outcome, self._rows
        outcome.elapsed_ms = elapsed_ms
        outcome.body = rows.body()
        outcome.row_count, outcome.json_bytes = rows.row_count, rows.json_bytes
        outcome.text_rows = rows.text_rows
        return outcome

    def take(self, result: pq.abc.PGresult) -> None:
        """Add the rows of a part of the result, up to the limits; the first part gives the columns."""
        reader = self._reader
        if reader is None:
            reader = self._reader = self._describe(result)
        elif result.ntuples == 0:
            return  # nearly every result ends with an empty part
        if self._outcome.truncated is None:
            rows = reader.read(result)
            if not self._take_whole(rows):
                for row in rows:
                    self._take_row(row, reader.text_columns)

    def _describe(self, result: pq.abc.PGresult) -> CellReader:
        numbers = range(result.nfields)
        oids = tuple([result.ftype(column) for column in numbers])
        names = [self._encoding.decode(result.fname(column) or b"") for column in numbers]
        self._outcome.columns = list(zip(names, oids, strict=True))
        dates = self._date_output() if not DATE_OIDS.isdisjoint(oids) else None
        return reader_for(self._encoding.codec, oids, dates)

    def _date_output(self) -> DateOutput | None:
        """Return how dates are written in this result; None for ISO style, as in pgmcp's own statements."""
        if self._request.origin is StatementOrigin.OWN:
            return None
        time_zone = self._connection.pgconn.parameter_status(b"TimeZone") or b""
        return choose_date_output(self._connection.facts.date_style, time_zone.decode("ascii", "replace"))

    def _take_whole(self, rows: list[list[Cell]]) -> bool:
        """Add a whole part if no limit cuts it, which is the usual case; return whether it was added."""
        request, taken = self._request, self._rows
        if taken.row_count + len(rows) > request.max_rows:
            return False
        json = json_lines(rows)
        if not self._fits_as_json(len(json), len(rows)):
            text_size, size = _count_bytes(rows)
            self._bytes = self._count_taken()
            if text_size > request.max_cell_bytes or self._bytes + size > request.max_bytes:
                return False
            self._bytes += size
        taken.add(rows, json)
        return True

    def _fits_as_json(self, json_bytes: int, row_count: int) -> bool:
        """Return whether the length of a part's JSON shows that the part fits the limits.

        The JSON is at least as long as the text in it. The length of the JSON is known, but counting the text
        takes as long as writing it. After the text of one part was counted, the text of all later parts is
        counted, too.
        """
        request, taken = self._request, self._rows
        cells = (taken.row_count + row_count) * len(self._outcome.columns)
        most_bytes = taken.json_bytes + json_bytes + cells * _PLAIN_BYTES
        return (
            self._bytes is None and json_bytes <= request.max_cell_bytes and most_bytes <= request.max_bytes
        )

    def _count_taken(self) -> int:
        """Return the bytes that the rows so far count toward the byte limit."""
        if self._bytes is None:
            self._bytes = sum(_count_bytes(rows)[1] for rows in self._rows.pieces())
        return self._bytes

    def _take_row(self, row: list[Cell], text_columns: list[int]) -> None:
        outcome, request = self._outcome, self._request
        if outcome.truncated is not None:
            return
        if self._rows.row_count == request.max_rows:
            self._truncate("rows")
            return
        self._bytes = self._count_taken() + self._cut_cells(row, text_columns)
        self._bytes += (len(row) - len(text_columns)) * _PLAIN_BYTES
        if self._bytes > request.max_bytes:
            self._truncate("bytes")
            return
        self._rows.add([row], json_lines([row]))

    def _truncate(self, bound: Truncated) -> None:
        self._outcome.truncated = bound
        # If a row limit is around the statement, it is max_rows + 1, so no row follows the extra one.
        if bound == "bytes" or self._request.mode is StatementMode.AS_IS:
            self._stop()

    def _cut_cells(self, row: list[Cell], text_columns: list[int]) -> int:
        """Cut the cells that are too long, and return the bytes of the row's remaining text."""
        max_cell_bytes = self._request.max_cell_bytes
        row_bytes = 0
        for column in text_columns:
            cell = row[column]
            if cell is None:
                row_bytes += _PLAIN_BYTES
                continue
            text = str(cell)
            size = text_bytes(text)
            if size > max_cell_bytes:
                row[column] = cut(text, max_cell_bytes)
                self._outcome.cut_cells += 1
                size = max_cell_bytes
            row_bytes += size
        return row_bytes


def _count_bytes(rows: list[list[Cell]]) -> tuple[int, int]:
    """Return the bytes of the text in rows, and the bytes that the rows count toward the byte limit."""
    texts = [cell for row in rows for cell in row if cell.__class__ is str]
    text_size = text_bytes("".join(texts))
    return text_size, text_size + (sum(map(len, rows)) - len(texts)) * _PLAIN_BYTES
