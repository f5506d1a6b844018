"""The command that installs an optional part."""

from pgmcp.features import how_to_install


def test_an_extra_is_added_without_undoing_what_is_installed() -> None:
    hint = how_to_install("charts")

    assert "uv sync --inexact --extra charts" in hint
    assert "pip install -e '.[charts]'" in hint
