"""Builds the result view: one HTML page without external resources, and the licences of its packages.

    uv run scripts/build_view.py            install packages if needed, then write pgmcp/view/result_view*
    uv run scripts/build_view.py --check    only compare; exit code 1 if something differs
    uv run scripts/build_view.py --install  only install packages into build/view, which git ignores

The source is scripts/view. The result is committed, so that neither the installation nor the use of pgmcp
needs Node. scripts/view/package.json has the exact version of every dependency, including indirect ones, so
that the same source gives the same bytes everywhere.
"""

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = REPOSITORY / "scripts" / "view"
NPM_FOLDER: Final = REPOSITORY / "build" / "view"
NODE_MODULES: Final = NPM_FOLDER / "node_modules"
_VIEW: Final = REPOSITORY / "pgmcp" / "view"
PAGE: Final = _VIEW / "result_view.html"
LICENSES: Final = _VIEW / "result_view_licenses.txt"

_LICENSES_HEADING: Final = """\
result_view.html contains code of the packages below, built into it by scripts/build_view.py.
Each package's licence follows its name.
"""


@dataclass(frozen=True)
class View:
    """The text of both built files."""

    page: str
    licenses: str


def install() -> None:
    """Install the packages of package.json unless they are installed."""
    wanted = SOURCE / "package.json"
    installed = NPM_FOLDER / "package.json"
    if installed.is_file() and installed.read_bytes() == wanted.read_bytes():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not on PATH; the view's build and its tests need Node.js 20 or later")
    NPM_FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(wanted, installed)
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run([npm, "install", *options], cwd=NPM_FOLDER, check=True)
    except subprocess.CalledProcessError:
        installed.unlink()
        raise


def bundle(entry: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """Return a script with all its imports, and esbuild's metafile; packages must be installed."""
    with tempfile.TemporaryDirectory() as folder:
        bundled, meta = Path(folder, "bundled"), Path(folder, "meta.json")
        command = [str(NODE_MODULES / ".bin" / "esbuild"), str(entry), "--bundle", "--target=es2022"]
        command += ["--format=iife", "--log-level=error", f"--outfile={bundled}", f"--metafile={meta}"]
        # Vega-Lite imports four functions from `vega`, which re-exports them and would add all of Vega.
        command += ["--alias:vega=vega-util", *options]
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        subprocess.run(command, cwd=NPM_FOLDER, env=environment, check=True)
        return bundled.read_text("utf-8"), json.loads(meta.read_text("utf-8"))


def build() -> View:
    """Build the view; packages must be installed."""
    script, account = bundle(SOURCE / "main.js", "--minify", "--charset=utf8", "--legal-comments=none")
    style, _ = bundle(SOURCE / "style.css", "--minify")
    style, script = style.strip(), script.strip()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    page = (SOURCE / "index.html").read_text("utf-8")
    for mark, text in (("@policy@", policy), ("@style@", style), ("@script@", script)):
        page = page.replace(mark, text)
    return View(page, "\n".join((_LICENSES_HEADING, *_licenses(_packages(account)))))


def _digest(text: str) -> str:
    """Return the hash of a text, with which a content security policy allows only this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packages(account: dict[str, Any]) -> Iterable[str]:
    """Return the names of the packages in the bundle, in order."""
    (output,) = (output for output in account["outputs"].values() if "inputs" in output)
    names = set()
    for path, part in output["inputs"].items():
        _, is_package, inside = path.rpartition("node_modules/")
        if is_package and part["bytesInOutput"]:
            parts = inside.split("/")
            names.add("/".join(parts[:2] if inside.startswith("@") else parts[:1]))
    return sorted(names)


def _licenses(packages: Iterable[str]) -> Iterable[str]:
    for name in packages:
        folder = NODE_MODULES / name
        package = json.loads((folder / "package.json").read_text("utf-8"))
        (text,) = (path for path in folder.iterdir() if path.stem.lower() in ("license", "licence"))
        heading = f"{name} {package['version']} ({package['license']})"
        body = "\n".join(line.rstrip() for line in text.read_text("utf-8").strip().splitlines())
        yield f"{heading}\n{'-' * len(heading)}\n\n{body}\n"


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    parser.add_argument(
        "--install", action="store_true", help="only install the packages of the build and its tests"
    )
    arguments = parser.parse_args()
    install()
    if arguments.install:
        return 0
    view = build()
    if arguments.check:
        return _compare(view)
    PAGE.write_text(view.page, "utf-8", newline="\n")
    LICENSES.write_text(view.licenses, "utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)}: {PAGE.stat().st_size / 1024:.0f} KiB\n")
    return 0


def _compare(view: View) -> int:
    stale = [
        path
        for path, text in ((PAGE, view.page), (LICENSES, view.licenses))
        if path.read_text("utf-8") != text
    ]
    for path in stale:
        sys.stderr.write(
            f"{path.relative_to(REPOSITORY)} differs from the build of scripts/view: run this script\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
