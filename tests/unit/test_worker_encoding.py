"""The parts of the encoding that need no server; test_executor_results.py covers every type."""

import pytest

from worker.date_style import choose_date_output
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


def test_a_setting_is_encoded_in_the_current_encoding_of_the_session() -> None:
    assert TextEncoding().encode_setting("schéma", "LATIN1") == "schéma".encode("latin-1")


def test_a_strict_setting_is_refused_and_not_written_as_a_question_mark() -> None:
    assert TextEncoding().encode_setting("цех", "LATIN1") == b"???"
    with pytest.raises(UnicodeEncodeError):
        TextEncoding().encode_setting("цех", "LATIN1", "strict")


@pytest.mark.parametrize(
    ("date_style", "text", "iso"),
    [
        ("German, DMY", "17.12.1997", "1997-12-17"),
        ("German, DMY", "17.12.1997 07:37:16.5", "1997-12-17 07:37:16.5"),
        ("German, DMY", "15.03.0044 BC", "0044-03-15 BC"),
        ("SQL, MDY", "12/17/1997", "1997-12-17"),
        ("SQL, YMD", "12/17/1997", "1997-12-17"),
        ("SQL, DMY", "17/12/1997 07:37:16", "1997-12-17 07:37:16"),
        ("Postgres, MDY", "12-17-1997", "1997-12-17"),
        ("Postgres, DMY", "17-12-1997", "1997-12-17"),
        ("Postgres, MDY", "Wed Dec 17 07:37:16.25 1997", "1997-12-17 07:37:16.25"),
        ("Postgres, DMY", "Wed 17 Dec 07:37:16 1997", "1997-12-17 07:37:16"),
        ("Postgres, DMY", "Sat 15 Mar 07:37:16 0044 BC", "0044-03-15 07:37:16 BC"),
        ("SQL, MDY", "12/17/12345", "12345-12-17"),
        ("German, DMY", "infinity", "infinity"),
        ("German, DMY", "17.12.1997 07:37:16 CET", "1997-12-17 07:37:16+01"),
        ("German, DMY", "26.10.1997 02:30:00 CEST", "1997-10-26 02:30:00+02"),
        ("German, DMY", "26.10.1997 02:30:00 CET", "1997-10-26 02:30:00+01"),
        ("SQL, DMY", "17/12/1997 07:37:16 UTC", "1997-12-17 07:37:16+00"),
        ("Postgres, DMY", "Wed 17 Dec 07:37:16 1997 +0530", "1997-12-17 07:37:16+05:30"),
        ("SQL, DMY", "17/12/1997 07:37:16+03", "1997-12-17 07:37:16+03"),
        ("SQL, DMY", "17/12/1997 07:37:16 -00", "1997-12-17 07:37:16+00"),  # the zone Factory
        ("SQL, DMY", "14/03/0044 20:30:00 -03:30 BC", "0044-03-14 20:30:00-03:30 BC"),
        ("SQL, DMY", "14/03/0044 20:30:00 CET BC", "14/03/0044 20:30:00 CET BC"),
        ("German, DMY", "17.12.1997 07:37:16 XYZ", "17.12.1997 07:37:16 XYZ"),
        ("German, DMY", "17.12.12345 07:37:16 CET", "17.12.12345 07:37:16 CET"),
    ],
)
def test_a_date_is_written_in_iso_style_unless_that_is_not_certain(
    date_style: str, text: str, iso: str
) -> None:
    output = choose_date_output(date_style, "Europe/Berlin")

    assert output is not None
    assert output.to_iso(text) == iso


@pytest.mark.parametrize("date_style", ["ISO, MDY", "ISO, DMY", ""])
def test_a_date_in_iso_style_is_not_converted(date_style: str) -> None:
    assert choose_date_output(date_style, "UTC") is None
