"""Builds the bundle for hosts that support .mcpb files, and checks it with the format's own tool.

    uv run scripts/build_bundle.py                     # dist/pgmcp-<version>.mcpb
    uv run scripts/build_bundle.py --output some.mcpb

npm downloads the tool into its own cache. The bundle contains the source and a `pyproject.toml`. When a host
installs it, the host's uv downloads a Python and the libraries for the user's machine (server type "uv" of
manifest 0.4). Libraries inside the bundle would tie it to one operating system, processor and Python, because
psycopg, postgast and msgspec are compiled.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[1]
_TEMPLATES: Final = Path(__file__).with_name("bundle")
TOOL: Final = "@anthropic-ai/mcpb@2.1.2"
_PACKAGES: Final = ("pgmcp", "worker")
_PYTHON: Final = "3.13"
"""The newest Python that the tests run on. For a newer one, compiled libraries may not be available."""

_PYPROJECT: Final = """\
[build-system]
requires = {requires}
build-backend = "{backend}"

[project]
name = "{name}"
version = "{version}"
requires-python = "{python}"
dependencies = {dependencies}

[tool.hatch.build.targets.wheel]
packages = {packages}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a bundle; return 1 if the format's tool rejects it or is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="file to write")
    options = parser.parse_args(arguments)
    project = read_project()
    output = options.output or _ROOT / "dist" / f"{project['name']}-{project['version']}.mcpb"
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is not installed; the tool that checks bundles comes from it\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        is_packed = _run_tool(npm, "validate", str(Path(folder, "manifest.json"))) and _run_tool(
            npm, "pack", folder, str(output.absolute())
        )
    return 0 if is_packed else 1


def read_project() -> dict[str, Any]:
    """Return the tables `project` and `build-system` of pyproject.toml."""
    document = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))
    return {**document["project"], "build-system": document["build-system"]}


def read_manifest() -> dict[str, Any]:
    """Return the manifest with the project's version."""
    manifest: dict[str, Any] = json.loads((_TEMPLATES / "manifest.json").read_text("utf-8"))
    return {**manifest, "version": read_project()["version"]}


def stage(folder: Path) -> None:
    """Copy the bundle's content into an empty folder."""
    for package in _PACKAGES:
        shutil.copytree(_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for file in (_TEMPLATES / "server.py", _ROOT / "LICENSE"):
        shutil.copy(file, folder)
    write_json = json.dumps(read_manifest(), indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(write_json + "\n", "utf-8")
    (folder / "pyproject.toml").write_text(_render_pyproject(read_project()), "utf-8")
    (folder / ".python-version").write_text(f"{_PYTHON}\n", "utf-8")


def _render_pyproject(project: Mapping[str, Any]) -> str:
    """Return a pyproject.toml without the developers' dependencies, which uv would install too."""
    # Strings and lists of strings are written the same in JSON and TOML.
    return _PYPROJECT.format(
        requires=json.dumps(project["build-system"]["requires"]),
        backend=project["build-system"]["build-backend"],
        name=project["name"],
        version=project["version"],
        python=project["requires-python"],
        dependencies=json.dumps(project["dependencies"], indent=4),
        packages=json.dumps(_PACKAGES),
    )


def _run_tool(npm: str, *arguments: str) -> bool:
    command = [npm, "exec", "--yes", "--prefer-offline", f"--package={TOOL}", "--", "mcpb", *arguments]
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
