"""Loads sqlglot from its Python source, even if its compiled modules are installed (`sqlglot[c]`).

The compiled parser cannot be subclassed, and the bound on its steps back needs a subclass.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_PACKAGE = "sqlglot"


class _SourceFinder:
    """Finds the source of a sqlglot module that is also compiled; stays active for later imports."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the source's spec; None leaves the module to the other finders."""
        if name.partition(".")[0] != _PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or not isinstance(spec.loader, ExtensionFileLoader):
            return None
        source = Path(spec.origin).with_name(name.rpartition(".")[2] + ".py")
        return importlib.util.spec_from_file_location(name, source)


def load_from_source() -> None:
    """Make all later imports of sqlglot use its Python source."""
    if _SourceFinder not in sys.meta_path:
        sys.meta_path.insert(0, _SourceFinder)
