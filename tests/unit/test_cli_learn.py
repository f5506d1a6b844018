"""Files that `pgmcp learn` does not change, and its confirmation."""

import io
from pathlib import Path

import pytest
import typer

from pgmcp.cli.learn import check_target, preview_answer
from pgmcp.cli.terminal import confirm
from pgmcp.errors import SettingsError
from testing.mcp_server import SHOP_CONTEXT


def test_a_file_of_the_package_is_not_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_URL", "postgresql://127.0.0.1:1/shop")
    monkeypatch.setenv("PG_MCP_CONTEXT_FILE", str(SHOP_CONTEXT))

    with pytest.raises(SettingsError, match="belongs to pgmcp itself") as refused:
        preview_answer("How many?", sql="select 1", database=None, file=None)

    assert "copy it" in refused.value.hint


def test_a_file_that_cannot_be_used_is_refused_before_the_question_is_asked(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_bytes(b"\xff")

    check_target(tmp_path / "new.yaml")
    with pytest.raises(SettingsError, match="--to: cannot read"):
        check_target(wrong)
    with pytest.raises(SettingsError, match=r"--to: the folder .* does not exist"):
        check_target(tmp_path / "nowhere" / "new.yaml")


def test_after_a_no_the_answer_says_that_nothing_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    with pytest.raises(typer.Exit) as ended:
        confirm()

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "nothing was written\n"
