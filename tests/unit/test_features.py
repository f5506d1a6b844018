"""The command that installs an optional part."""

from pgmcp.features import how_to_install


def test_the_command_that_installs_an_extra_keeps_installed_packages() -> None:
    hint = how_to_install("charts")

    assert "uv sync --inexact --extra charts" in hint
    assert "pip install -e '.[charts]'" in hint
