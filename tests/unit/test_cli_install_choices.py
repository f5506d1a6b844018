"""The name of a host on the command line."""

import pytest
import typer

from pgmcp.cli.install.choices import HostName
from pgmcp.cli.set_up_commands import read_host


def test_a_misspelt_host_is_guessed() -> None:
    assert read_host("cursor") is HostName.CURSOR
    with pytest.raises(typer.BadParameter, match=r"'cursr' is not one of .*; did you mean cursor\?"):
        read_host("cursr")
