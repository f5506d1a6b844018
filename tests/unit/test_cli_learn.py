"""Files that `pgmcp learn` does not change."""

from pathlib import Path

import pytest

from pgmcp.cli.learn import preview_answer
from pgmcp.errors import SettingsError
from testing.mcp_server import SHOP_CONTEXT


def test_a_file_of_the_package_is_not_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_URL", "postgresql://127.0.0.1:1/shop")
    monkeypatch.setenv("PG_MCP_CONTEXT_FILE", str(SHOP_CONTEXT))

    with pytest.raises(SettingsError, match="belongs to pgmcp itself") as refused:
        preview_answer("How many?", sql="select 1", database=None, file=None)

    assert "copy it" in refused.value.hint
