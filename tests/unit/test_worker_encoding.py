"""Encoding that needs no server's result; test_executor_results.py reads every type."""

import pytest

from worker.encoding import CUT_MARK, cut, text_bytes


@pytest.mark.parametrize(
    ("max_cell_bytes", "beginning"), [(1, "a"), (2, "a"), (3, "aü"), (6, "aü"), (7, "aü🐘"), (8, "aü🐘b")]
)
def test_a_long_cell_is_cut_between_characters_and_marked(max_cell_bytes: int, beginning: str) -> None:
    assert cut("aü🐘bc", max_cell_bytes) == beginning + CUT_MARK


@pytest.mark.parametrize("text", ["", "plain", "Grüße", "🐘", "\x00\x7f\x80"])
def test_the_length_of_a_text_is_that_of_its_utf8(text: str) -> None:
    assert text_bytes(text) == len(text.encode())
