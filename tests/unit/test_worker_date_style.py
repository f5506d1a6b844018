import pytest

from worker.date_style import choose_date_output


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
def test_iso_style_needs_no_conversion(date_style: str) -> None:
    assert choose_date_output(date_style, "UTC") is None
