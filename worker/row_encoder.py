"""Encodes the rows of one statement while they arrive, so that the front only has to paste them."""

from collections.abc import Iterator
from typing import Final

from worker.encoding import Cell
from worker.row_format import read_json_lines, text_block

_TEXT_BLOCK_ROWS: Final = 256
"""Rows that are laid out as text together: columns are handled whole, so few rows at a time cost more."""


class RowEncoder:
    """Collects rows as JSON, and the leading ones as text too.

    Attributes:
        row_count: of all rows.
        json_bytes: of their JSON.
        text_rows: how many rows `body` holds as text.
    """

    def __init__(self, max_text_bytes: int) -> None:
        """Prepare for one result.

        Args:
            max_text_bytes: after so many, further rows are not laid out as text; 0: no row is.
        """
        self.row_count = 0
        self.json_bytes = 0
        self.text_rows = 0
        self._left_text_bytes = max_text_bytes
        self._json: list[bytes] = []
        self._text: list[bytes] = []
        self._unwritten: list[list[Cell]] = []  # without text yet

    def pieces(self) -> Iterator[list[list[Cell]]]:
        """Yield the rows so far again, as they were added."""
        return map(read_json_lines, self._json)

    def add(self, rows: list[list[Cell]], json: bytes) -> None:
        """Take further rows, which must not be changed any more.

        Args:
            json: the same rows, as `json_lines` writes them.
        """
        self._json.append(json)
        self.json_bytes += len(json)
        self.row_count += len(rows)
        if self._left_text_bytes > 0:
            self._unwritten += rows
            if len(self._unwritten) >= _TEXT_BLOCK_ROWS:
                self._write_text()

    def body(self) -> bytes:
        """Return all rows as JSON and then the leading ones as text; nothing can be added afterwards."""
        self._write_text()
        return b"".join((*self._json, *self._text))

    def _write_text(self) -> None:
        if not self._unwritten:
            return
        piece = text_block(self._unwritten).encode() + b"\n"
        self._text.append(piece)
        self._left_text_bytes -= len(piece)
        self.text_rows += len(self._unwritten)
        self._unwritten = []
