"""The parts of the encoding that need no server; test_executor_results.py covers every type."""

import pytest

from worker.encoding import CUT_MARK, cut, text_bytes
from worker.text_encoding import TextEncoding


@pytest.mark.parametrize(
    ("max_cell_bytes", "beginning"), [(1, "a"), (2, "a"), (3, "aü"), (6, "aü"), (7, "aü🐘"), (8, "aü🐘b")]
)
def test_a_long_cell_is_cut_between_characters_and_marked(max_cell_bytes: int, beginning: str) -> None:
    assert cut("aü🐘bc", max_cell_bytes) == beginning + CUT_MARK


@pytest.mark.parametrize("text", ["", "plain", "Grüße", "🐘", "\x00\x7f\x80"])
def test_the_length_of_a_text_is_that_of_its_utf8(text: str) -> None:
    assert text_bytes(text) == len(text.encode())


def test_a_setting_is_written_in_the_present_encoding_of_the_session() -> None:
    assert TextEncoding().encode_setting("schéma", "LATIN1") == "schéma".encode("latin-1")


def test_a_strict_setting_is_refused_and_not_written_as_a_question_mark() -> None:
    assert TextEncoding().encode_setting("цех", "LATIN1") == b"???"
    with pytest.raises(UnicodeEncodeError):
        TextEncoding().encode_setting("цех", "LATIN1", "strict")
