"""The option `--chart` is checked before anything is run."""

from pathlib import Path

import pytest
import typer

from pgmcp.charts.command_line import check_chart, write_picture
from pgmcp.cli.options import Form, OutputOptions
from pgmcp.errors import SettingsError
from testing.machine import full_disk


@pytest.mark.parametrize("form", [Form.SQL, Form.EXPLAIN])
def test_a_chart_needs_rows(form: Form, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=f"--{form} fetches none"):
        check_chart(tmp_path / "a.png", OutputOptions(form))


def test_a_chart_goes_into_a_png_file_in_an_existing_folder(tmp_path: Path) -> None:
    check_chart(tmp_path / "a.PNG", OutputOptions())
    with pytest.raises(typer.BadParameter, match=r"ends in \.png"):
        check_chart(tmp_path / "a.svg", OutputOptions())
    with pytest.raises(typer.BadParameter, match="does not exist"):
        check_chart(tmp_path / "nowhere" / "a.png", OutputOptions())


def test_a_missing_drawing_library_is_reported_before_the_question_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgmcp.charts.command_line.find_spec", lambda _: None)

    with pytest.raises(SettingsError, match="not installed") as missing:
        check_chart(tmp_path / "a.png", OutputOptions())

    assert "charts" in missing.value.hint


def test_a_full_disk_leaves_the_earlier_picture_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    write_picture(file, b"earlier")

    with full_disk(4), pytest.raises(OSError, match="File too large"):
        write_picture(file, b"later")

    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == b"earlier"
