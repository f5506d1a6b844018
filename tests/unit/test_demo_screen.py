import json

import pytest
from rich.console import Console

from pgmcp.demo.screen import Screen


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=60, quiet=False, force_terminal=False)


def test_cells_and_errors_are_not_taken_as_markup(console: Console) -> None:
    screen = Screen(console)

    screen.rows([{"name": "[b]name[/b]", "type": "text"}], [["[red]cell[/red]"]])
    screen.refusal("rejected: [bold]no[/bold]")

    shown = console.export_text()
    assert "[b]name[/b]" in shown
    assert "[red]cell[/red]" in shown
    assert "[bold]no[/bold]" in shown


def test_rows_that_are_not_shown_are_counted(console: Console) -> None:
    Screen(console).rows([{"name": "n", "type": "integer"}], [[number] for number in range(1008)])

    assert "and 1,000 more rows" in console.export_text()


def test_a_block_can_be_pasted_however_long_its_lines_are(console: Console) -> None:
    value = {"command": "/a/very/long/path/" * 20}

    Screen(console).block(value)

    assert json.loads(console.export_text()) == value
