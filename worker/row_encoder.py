"""Encodes the rows of one statement while they arrive, so that the front only has to copy them."""

from collections.abc import Iterator
from typing import Final

from worker.encoding import Cell
from worker.row_format import read_json_lines, text_block

_TEXT_BLOCK_ROWS: Final = 256
"""Rows that are written as text together: `text_block` works column by column, which suits many rows."""


class RowEncoder:
    """Collects rows as JSON, and the leading rows also as text.

    Attributes:
        row_count: number of all rows.
        json_bytes: length of their JSON.
        text_rows: how many rows `body` holds as text.
    """

    def __init__(self, max_text_bytes: int) -> None:
        """Prepare for one result.

        Args:
            max_text_bytes: bytes of text after which rows are written only as JSON; 0 writes no text.
        """
        self.row_count = 0
        self.json_bytes = 0
        self.text_rows = 0
        self._left_text_bytes = max_text_bytes
        self._json: list[bytes] = []
        self._text: list[bytes] = []
        self._unwritten: list[list[Cell]] = []  # without text yet

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
            self._unwritten += rows
            if len(self._unwritten) >= _TEXT_BLOCK_ROWS:
                self._write_text()

    def body(self) -> bytes:
        """Return all rows as JSON, then the leading rows as text. Call it once, at the end."""
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
