"""The option `--chart` is checked before anything is run."""

from pathlib import Path

import pytest
import typer

from pgmcp.charts.command_line import check_chart
from pgmcp.cli.options import Form, OutputOptions


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
