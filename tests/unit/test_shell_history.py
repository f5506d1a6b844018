"""The file of earlier inputs."""

import os
import stat
from pathlib import Path

import pytest

from pgmcp.cli.shell.history import HistoryFile
from testing.machine import full_disk


def test_the_history_returns_inputs_in_order_with_their_line_breaks(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "state" / "history", 10)
    for text in ("select\n 1;", "How many?", " secret", "  ", "ä"):
        file.append(text)

    assert file.load() == ["select\n 1;", "How many?", "ä"]
    assert stat.S_IMODE((tmp_path / "state" / "history").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_the_history_file_is_bounded_and_damaged_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "history"
    file = HistoryFile(path, 3)
    for number in range(7):
        file.append(str(number))
    with path.open("a") as raw:
        raw.write('{"no": "text"}\nhalf a li')

    assert file.load() == ["6"]
    assert len(path.read_text().splitlines()) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_history_that_is_off_touches_no_file(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history", 0)

    file.append("select 1;")

    assert file.load() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="symbolic links are followed")
def test_a_symbolic_link_instead_of_the_history_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "history").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        HistoryFile(tmp_path / "history", 3).append("select 1;")


def test_a_full_disk_loses_only_the_input_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "history"
    file = HistoryFile(path, 2)
    for number in range(5):
        file.append(str(number))

    with full_disk(path.stat().st_size + 4):
        with pytest.raises(OSError, match="No space left"):
            file.append("select 1;")
        file.append("5")

    with full_disk(2):  # too little to shorten it
        assert file.load() == ["4", "5"]
    assert list(tmp_path.iterdir()) == [path]
